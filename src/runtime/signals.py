"""SIGTERM and Ctrl-C as a request to stop after the present step."""
import os
import select
import signal
import threading
import time
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
SAME_REQUEST = 1.0
"""Seconds within which a further signal is a copy of the first: Slurm and systemd send a signal to the launcher, which
forwards it, and to each process."""


class StopSignals:
    """A context in which the first SIGTERM or SIGINT is only recorded, in `received`; a later one ends the process.

    Python runs signal handlers between two of its own instructions, so that a process which waits inside MindSpore
    would not react to the second signal. Therefore a thread reads the numbers of the signals from a pipe
    (`signal.set_wakeup_fd`) and ends the process. A signal that was ignored before (a shell's background process
    ignores SIGINT) stays ignored.

    Args:
        grace: the number of seconds after which the first signal also ends the process if it has not returned from
            MindSpore; None waits indefinitely. MindSpore itself sends SIGTERM to a rank if other ranks are dead, and
            the rank may be waiting for one of them. Before `under_way` is set, it ends the process in any case: a rank
            that was stopped before its first step has left without the others, and there is nothing to save yet.
    """

    def __init__(self, grace: float | None = None) -> None:
        self.received: signal.Signals | None = None
        self.under_way = False  # set by the caller after its first step
        self._grace = grace
        self._handlers = {}

    def __enter__(self) -> "StopSignals":
        read_end, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)
        self._watcher = threading.Thread(target=self._watch, args=(read_end,), daemon=True)
        self._watcher.start()
        self._wakeup = signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        for number in STOP_SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, self._record)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._write_end)  # ends the watcher
        self._watcher.join()

    def _record(self, number: int, _frame: FrameType | None) -> None:
        self.received = self.received or signal.Signals(number)

    def _may_wait_for_ever(self) -> bool:
        return self.received is None or not self.under_way

    def _watch(self, read_end: int) -> None:
        first, since = None, 0.0
        while True:
            waiting = first is not None and self._may_wait_for_ever()
            if not select.select([read_end], [], [], self._grace if waiting else None)[0]:
                if self._may_wait_for_ever():
                    os._exit(128 + first)
                continue
            numbers = [number for number in os.read(read_end, 64) or (0,) if number in (0, *STOP_SIGNALS)]
            if 0 in numbers:  # the pipe was closed
                os.close(read_end)
                return
            if numbers and first is None:
                first, since = numbers[0], time.monotonic()
            elif numbers and time.monotonic() - since > SAME_REQUEST:
                os._exit(128 + numbers[-1])
