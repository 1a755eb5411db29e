"""Showing a log while it grows."""
import os
import sys
from collections import deque


class LogFollower:
    """Copies what is appended to `source`, from now on, to the standard output and, if it is another file, to `kept`.

    The processes write into files, not into pipes of the launcher: whatever happens to it or to the terminal, they
    never block on a pipe and never die of a broken one.
    """

    def __init__(self, source: str, kept: str, shown: bool):
        self._source, self._kept, self._shown = source, kept, shown
        self._position = size(source)

    def copy(self) -> None:
        """Copy what has come since the last call."""
        if not os.path.exists(self._source):
            return
        with open(self._source, "rb") as stream:
            stream.seek(self._position)
            new = stream.read()
        if not new:
            return
        self._position += len(new)
        if self._kept != self._source:
            with open(self._kept, "ab") as kept:
                kept.write(new)
        if self._shown:
            try:
                sys.stdout.buffer.write(new)
                sys.stdout.buffer.flush()
            except OSError:  # the terminal or the reader has gone; the log stays
                self._shown = False


def size(path: str) -> int:
    """Bytes in a file; 0 if there is none."""
    return os.path.getsize(path) if os.path.exists(path) else 0


def last_lines(path: str, count: int, start: int = 0) -> str:
    """The last `count` lines of a file, of those from byte `start` on, indented; what is not UTF-8 is replaced."""
    if size(path) <= start:
        return "  (nothing)"
    with open(path, "rb") as stream:
        stream.seek(start)
        lines = deque(stream, maxlen=count)
    return "\n".join(f"  {line.decode(errors='replace').rstrip()}" for line in lines)
