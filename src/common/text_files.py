"""Reading UTF-8 text files with one sentence per line, as a whole or in parts.

Only `\\n` ends a line (U+2028 and form feeds do not), so that the lines of parallel files stay aligned. A `\\r` before
the `\\n` and a byte-order mark at the start of the file are removed. Lines have at most `MAX_LINE_BYTES` bytes.
"""
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

from src.common.errors import MassError
from src.common.files import require_file

PART_BYTES = 1 << 18  # less than a second of work, so that all processes are busy until the end
MAX_LINE_BYTES = 1 << 22  # a file without line ends must not exhaust the memory
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NEWLINE = b"\n"


def read_lines(path: str, errors: str = "strict", damaged: Counter[str] | None = None) -> Iterator[str]:
    """Yield the lines of a UTF-8 text file, without line ends.

    Args:
        errors: how undecodable bytes are treated: "strict" raises an error, "replace" makes them U+FFFD.
        damaged: with "replace", `damaged[path]` is increased by the number of lines with such bytes.

    Raises:
        MassError: the file is missing, a line is too long or, with errors="strict", not UTF-8; the message names file
            and line.
    """
    for part in file_parts(require_file(path, "text file")):
        text = part.decode(errors)
        if text.damaged and damaged is not None:
            damaged[path] += text.damaged
        yield from text.lines


class DecodedText(NamedTuple):
    """Decoded lines."""

    text: str  # every line, the last one included, ends with \n (unless line ends are kept)
    damaged: int  # number of lines with undecodable bytes

    @property
    def lines(self) -> list[str]:
        return self.text.split("\n")[:-1]


def decode_lines(raw: bytes, path: str, first_line: int = 1, errors: str = "strict") -> DecodedText:
    """Decode whole lines of the file `path`, the first of which is line `first_line` (1: the start of the file).

    Raises:
        MassError: a line is not UTF-8 and `errors` is "strict"; the message names file and line.
    """
    try:
        return _decode(raw, first_line == 1, errors)
    except UnicodeDecodeError as error:
        raise _not_utf8(error, path, first_line) from error


class FilePart(NamedTuple):
    """The bytes [start, end) of a text file, which are whole lines."""

    path: str
    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start

    def decode(self, errors: str = "strict", keep_ends: bool = False) -> DecodedText:
        """Return the lines of the part as `read_lines` yields them or, with `keep_ends`, with their original ends."""
        with open(self.path, "rb") as stream:
            stream.seek(self.start)
            raw = stream.read(self.size)
            try:
                return _decode(raw, self.start == 0, errors, keep_ends)
            except UnicodeDecodeError as error:  # rare, so preceding lines are counted only now
                raise _not_utf8(error, self.path, 1 + _count_line_ends(stream, self.start)) from error


def file_parts(path: str) -> Iterator[FilePart]:
    """Split a file at line ends into parts of about `PART_BYTES`; an empty file has one empty part.

    Raises:
        MassError: a line is too long; the message names file and line.
    """
    with open(path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        start = 0
        while True:
            stream.seek(start + PART_BYTES - 1)
            if len(stream.readline(MAX_LINE_BYTES + 1)) > MAX_LINE_BYTES:
                raise _too_long(path, 1 + _count_line_ends(stream, start + PART_BYTES - 1))
            end = min(stream.tell(), size)
            yield FilePart(path, start, end)
            if end == size:
                return
            start = end


def batches_of_parts(
    parts: Iterable[FilePart], max_bytes: int | None = None, max_parts: int = 256
) -> Iterator[tuple[FilePart, ...]]:
    """Group consecutive small parts into batches of up to `max_bytes` (default: `PART_BYTES`) and `max_parts`.

    This keeps the cost of passing tasks to processes low. A part that is larger than `max_bytes` is a batch of its own.
    """
    max_bytes = PART_BYTES if max_bytes is None else max_bytes
    batch, size = [], 0
    for part in parts:
        if batch and (size + part.size > max_bytes or len(batch) == max_parts):
            yield tuple(batch)
            batch, size = [], 0
        batch.append(part)
        size += part.size
    if batch:
        yield tuple(batch)


def _decode(raw: bytes, at_start: bool, errors: str, keep_ends: bool = False) -> DecodedText:
    """Decode lines; raises UnicodeDecodeError if errors="strict"."""
    if at_start:
        raw = raw.removeprefix(BYTE_ORDER_MARK)
    damaged = 0
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        if errors == "strict":
            raise
        text = raw.decode("utf-8", errors="replace")
        damaged = sum(map(_is_damaged, raw.split(_NEWLINE)))
    if not keep_ends:
        if text and not text.endswith("\n"):
            text += "\n"
        if "\r" in text:
            text = text.replace("\r\n", "\n")
    return DecodedText(text, damaged)


def _count_line_ends(stream: BinaryIO, end: int) -> int:
    """Return the number of line ends in the first `end` bytes."""
    stream.seek(0)
    count = 0
    while end > 0 and (block := stream.read(min(end, 1 << 20))):
        count += block.count(_NEWLINE)
        end -= len(block)
    return count


def _is_damaged(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


def _not_utf8(error: UnicodeDecodeError, path: str, first_line: int) -> MassError:
    raw = error.object
    encoding = "UTF-16" if first_line == 1 and raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "ISO-8859-1"
    number = first_line + raw.count(_NEWLINE, 0, error.start)
    column = error.start - raw.rfind(_NEWLINE, 0, error.start)
    return MassError(
        f"{path}, line {number}: not UTF-8 (byte {raw[error.start]:#04x} at column {column}); convert the file first, "
        f"for example with: iconv -f {encoding} -t UTF-8; or replace such bytes with --errors replace"
    )


def _too_long(path: str, number: int) -> MassError:
    return MassError(
        f"{path}, line {number}: longer than {MAX_LINE_BYTES >> 20} MiB; text must have one sentence per line "
        f"(does the file have line ends other than \\n?)"
    )
