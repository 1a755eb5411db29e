"""TensorBoard event files: `tensorboard --logdir RUN_FOLDER/tensorboard`."""
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

EVENTS_FOLDER = "tensorboard"
NAMES = {"lr": "learning_rate", "ppl": "perplexity", "new_loss_scale": "loss_scale"}
NOT_FIGURES = ("event", "step", "seconds")


class EventFiles:
    """Writes training and validation as two TensorBoard runs, so that one chart shows the same figure of both.

    After resuming, a new file makes TensorBoard discard the events after `resumed_step`.

    Events are written immediately and in this thread: tensorboardX's SummaryWriter passes them to another thread, and
    blocks forever once that thread has died because the disk is full.
    """

    def __init__(self, folder: str, resumed_step: int = 0):
        with _without_pytorch():
            from tensorboardX.proto.event_pb2 import Event, SessionLog

        self._folder = folder
        self._writers = {name: self._writer(name, resumed_step) for name in ("train", "valid")}
        start = Event(step=resumed_step + 1, wall_time=time.time(), session_log=SessionLog(status=SessionLog.START))
        for writer in self._writers.values():
            writer.write_event(start)
            writer.flush()

    def _writer(self, name: str, resumed_step: int) -> Any:
        from tensorboardX.event_file_writer import EventsWriter

        folder = os.path.join(self._folder, name)
        os.makedirs(folder, exist_ok=True)
        return EventsWriter(os.path.join(folder, "events"), f".after-{resumed_step}")

    def write(self, entry: dict[str, Any]) -> None:
        """Write the figures of an entry of metrics.jsonl; those of a skipped update belong to the training run."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        figures = [Summary.Value(tag=NAMES.get(name, name), simple_value=value) for name, value in entry.items()
                   if name not in NOT_FIGURES and isinstance(value, int | float) and not isinstance(value, bool)]
        writer = self._writers["valid" if entry["event"] == "valid" else "train"]
        writer.write_event(Event(step=entry["step"], wall_time=time.time(), summary=Summary(value=figures)))
        writer.flush()

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()


@contextmanager
def _without_pytorch() -> Iterator[None]:
    """Hide PyTorch from tensorboardX, which imports it if it is installed.

    That takes seconds, and serves to write tensors only, which this program does not.
    """
    if "torch" in sys.modules:
        yield
        return
    sys.modules["torch"] = None  # importing it is an ImportError
    try:
        yield
    finally:
        del sys.modules["torch"]
