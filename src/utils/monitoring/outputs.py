"""All outputs of a training run together."""
import os
import time
from collections.abc import Sequence
from typing import Any

from src.utils.monitoring.display import Figures, make_display
from src.utils.monitoring.event_files import EVENTS_FOLDER, EventFiles
from src.utils.monitoring.loss_curve import LOSS_CURVE_FILE, draw_loss_curve
from src.utils.monitoring.metrics_file import TRAINING_METRICS_FILE, MetricsFile

DRAWING_SHARE = 0.01  # largest share of the run's time that drawing may take


class NoOutputs:
    """The outputs of all ranks but the main one: none."""

    seconds = 0.0

    def write(self, entry: dict[str, Any]) -> None:
        pass

    def progress(self, step: int, figures: Figures, left: float) -> None:
        pass

    def report(self, step: int, figures: Figures, left: float) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def draw(self) -> None:
        pass

    def close(self) -> None:
        pass


class RunOutputs:
    """The progress display, metrics.jsonl, the TensorBoard events and the loss curve of one run folder.

    The last two only show the content of metrics.jsonl: if one of them fails, a warning is printed and training
    continues.
    """

    def __init__(self, folder: str, total_steps: int, resumed_step: int = 0,
                 planned: Sequence[tuple[int, float]] = ()):
        self._folder, self._planned = folder, planned
        self._metrics = MetricsFile(os.path.join(folder, TRAINING_METRICS_FILE), resumed_step)
        self.seconds = self._metrics.seconds
        self._display = make_display(total_steps, resumed_step)
        self._next_drawing = 0.0
        self._events: EventFiles | None = None
        try:
            self._events = EventFiles(os.path.join(folder, EVENTS_FOLDER), resumed_step)
        except Exception as error:  # any error, because it comes from another package
            self._warn("TensorBoard events are not written", error)

    def write(self, entry: dict[str, Any]) -> None:
        self._metrics.write(entry)
        if self._events is None:
            return
        try:
            self._events.write(entry)
        except Exception as error:
            self._events = None  # the file may end in an incomplete event, after which nothing can be read
            self._warn("TensorBoard events are not written any more", error)

    def progress(self, step: int, figures: Figures, left: float) -> None:
        self._display.progress(step, figures, left)

    def report(self, step: int, figures: Figures, left: float) -> None:
        self._display.report(step, figures, left)

    def note(self, text: str) -> None:
        self._display.note(text)

    def draw(self) -> None:
        """Draw the loss curve, unless it was drawn so recently that drawing would slow down training."""
        start = time.monotonic()
        if start < self._next_drawing:
            return
        self._draw()
        end = time.monotonic()
        self._next_drawing = end + (end - start) / DRAWING_SHARE

    def _draw(self) -> None:
        try:
            draw_loss_curve(os.path.join(self._folder, TRAINING_METRICS_FILE),
                            os.path.join(self._folder, LOSS_CURVE_FILE), "", self._planned)
        except Exception as error:
            self._warn(f"{LOSS_CURVE_FILE} could not be drawn", error)

    def close(self) -> None:
        """Close the files and draw the loss curve of the whole run."""
        self._metrics.close()
        if self._events is not None:
            self._events.close()
        self._draw()
        self._display.close()

    def _warn(self, what: str, error: Exception) -> None:
        self.note(f"warning: {what} ({type(error).__name__}: {error}); {TRAINING_METRICS_FILE} holds all figures")
