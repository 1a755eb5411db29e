"""Copying a log while it grows."""
import os
import sys
from collections import deque


class LogFollower:
    """Copies what is appended to the file `source` to the file `kept` (unless it is the same) and to standard output.

    Processes write to files instead of pipes of the launcher, so that they never block on a pipe and are never killed
    by a broken one, whatever happens to the launcher or the terminal.
    """

    def __init__(self, source: str, kept: str, shown: bool):
        self._source, self._kept, self._shown = source, kept, shown
        self._position = size(source)
        self._full = False

    def copy(self) -> None:
        """Copy what was appended since the last call."""
        if not os.path.exists(self._source):
            return
        with open(self._source, "rb") as stream:
            stream.seek(self._position)
            new = stream.read()
        if not new:
            return
        self._position += len(new)
        if self._kept != self._source and not self._full:
            try:
                with open(self._kept, "ab") as kept:
                    kept.write(new)
            except OSError:  # the disk is full; the run is not ended by that, and its other files report it
                self._full = True
        if self._shown:
            try:
                sys.stdout.buffer.write(new)
                sys.stdout.buffer.flush()
            except OSError:  # the terminal or the reader is gone; go on with the file
                self._shown = False


def size(path: str) -> int:
    """Return the size of a file in bytes; 0 if it does not exist."""
    return os.path.getsize(path) if os.path.exists(path) else 0


def last_lines(path: str, count: int, start: int = 0) -> str:
    """Return the last `count` lines of a file after byte `start`, indented; bytes that are not UTF-8 are replaced."""
    if size(path) <= start:
        return "  (nothing)"
    with open(path, "rb") as stream:
        stream.seek(start)
        lines = deque(stream, maxlen=count)
    return "\n".join(f"  {line.decode(errors='replace').rstrip()}" for line in lines)
