"""Reading lines from a stream as they arrive, without waiting for the end of the stream."""
import os
import select
import time
from collections.abc import Iterator

from src.common.errors import MassError
from src.common.text_files import MAX_LINE_BYTES, decode_lines

WAIT = 0.1
"""Maximum number of seconds that a line waits for further lines of its batch."""
_READ_BYTES = 1 << 16


class LineStream:
    """Batches of the lines that arrive at a file descriptor (of a pipe, a terminal or a file), without line ends.

    Args:
        descriptor: a file descriptor that is open for reading.
        name: the name of the stream in error messages.
        errors: how undecodable bytes are treated: "strict" raises an error, "replace" makes them U+FFFD.
        most: the maximum number of lines per batch.
    """

    def __init__(self, descriptor: int, name: str, errors: str = "strict", most: int = 128):
        self.name = name
        self.damaged = 0  # number of lines with undecodable bytes so far
        self._descriptor, self._errors, self._most = descriptor, errors, most

    def batches(self) -> Iterator[list[str]]:
        """Yield batches of one line or more. The stream can be iterated over only once.

        Raises:
            MassError: a line is too long or, with errors="strict", not UTF-8; the message names the line.
        """
        number = 1
        for raw in self._raw_batches():
            text = decode_lines(b"".join(line + b"\n" for line in raw), self.name, number, self._errors)
            self.damaged += text.damaged
            number += len(raw)
            yield text.lines

    def _raw_batches(self) -> Iterator[list[bytes]]:
        lines: list[bytes] = []
        unfinished, given, deadline = b"", 0, 0.0
        while True:
            timeout = max(0.0, deadline - time.monotonic()) if lines else None
            if len(lines) < self._most and select.select([self._descriptor], [], [], timeout)[0]:
                block = os.read(self._descriptor, _READ_BYTES)
                if not block:
                    break
                if not lines:
                    deadline = time.monotonic() + WAIT
                *new, unfinished = (unfinished + block).split(b"\n")
                lines += new
                if len(unfinished) > MAX_LINE_BYTES:
                    raise MassError(f"{self.name}, line {given + len(lines) + 1}: longer than {MAX_LINE_BYTES >> 20} "
                                    f"MiB; text must have one sentence per line")
                continue
            yield lines[: self._most]
            given += len(lines[: self._most])
            lines = lines[self._most :]
        lines += [unfinished] if unfinished else []
        for first in range(0, len(lines), self._most):
            yield lines[first : first + self._most]
