"""Progress of long operations: a bar on a terminal, an occasional line in a log, nothing when quiet."""
import sys
import time
from types import TracebackType
from typing import TextIO

from tqdm import tqdm

LOG_SECONDS = 20.0
"""Seconds between two lines in a log; shorter operations print none."""


class Progress:
    """The progress of one operation, with its rate and the remaining time, shown on stderr.

    It is a context manager: `with Progress("encode", total=size, unit="B") as progress: ... progress.update(read)`.
    Print other text with `say` in the meantime, so that it does not run into the bar.
    """

    def __init__(self, label: str, total: int | None, unit: str, quiet: bool = False, stream: TextIO | None = None):
        """Start an operation of `total` units (None: unknown). `unit` is a plural such as "lines", or "B" for bytes."""
        self._stream = stream or sys.stderr
        terminal = self._stream.isatty()
        self._label, self._total, self._unit = label, total, unit
        self._bar = tqdm(
            total=total, desc=label, unit=unit if unit == "B" else f" {unit}", unit_scale=True, leave=False,
            file=self._stream, disable=quiet or not terminal, dynamic_ncols=True,
        )
        self._done = 0
        self._begin = time.monotonic()
        self._next_line = float("inf") if quiet or terminal else self._begin + LOG_SECONDS

    def update(self, count: int = 1) -> None:
        """Count `count` further units as done."""
        self._done += count
        self._bar.update(count)
        now = time.monotonic()
        if now >= self._next_line:
            self._next_line = now + LOG_SECONDS
            print(self._line(now - self._begin), file=self._stream, flush=True)

    def _line(self, seconds: float) -> str:
        rate = self._done / seconds
        speed = f"{self._amount(rate)}/s"
        if not self._total:
            return f"{self._label}: {self._amount(self._done)}, {speed}"
        left = tqdm.format_interval(max(self._total - self._done, 0) / rate) if rate else "?"
        done = f"{100 * self._done / self._total:.0f}% ({self._amount(self._done)} of {self._amount(self._total)})"
        return f"{self._label}: {done}, {speed}, {left} left"

    def _amount(self, number: float) -> str:
        return tqdm.format_sizeof(number, "B") if self._unit == "B" else f"{number:,.0f} {self._unit}"

    def close(self) -> None:
        self._bar.close()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a line on `stream` (default: stdout) without running into a progress bar on the terminal."""
    tqdm.write(text, file=stream or sys.stdout)
    (stream or sys.stdout).flush()
