"""Split two parallel text files into parts that hold the same lines of both."""
from collections.abc import Iterator
from itertools import zip_longest
from typing import NamedTuple

import numpy as np

from src.common.errors import MassError, UsageError
from src.common.files import require_file
from src.common.text_files import PART_BYTES, FilePart, file_parts

STEP_LINES = 64  # between two possible ends of a part: so few that even long lines make no large part
BLOCK_BYTES = 1 << 20  # read at a time


class PairPart(NamedTuple):
    """The same lines of a source file and of its target file."""

    source: FilePart
    target: FilePart

    @property
    def size(self) -> int:
        """The size of both parts together, in bytes."""
        return self.source.size + self.target.size


def aligned_parts(source_path: str, target_path: str, part_bytes: int = PART_BYTES, step_lines: int = STEP_LINES,
                  block_bytes: int = BLOCK_BYTES) -> Iterator[PairPart]:
    """Yield the parts of a source file and its target file, in order; two empty files yield one empty part.

    Args:
        source_path, target_path: files with equally many lines.
        part_bytes: a part ends as soon as both sides together have this size.
        step_lines: a part holds a multiple of this number of lines; only the last one may hold fewer.
        block_bytes: the number of bytes that are read at a time.
    """
    starts = ends = (0, 0)
    # Equally many lines have equally many possible ends; but a file of a byte-order mark alone has one and no line.
    both_ends = (_line_ends(path, step_lines, block_bytes) for path in (source_path, target_path))
    for ends in zip_longest(*both_ends, fillvalue=0):
        if sum(ends) - sum(starts) >= part_bytes:
            yield _part(source_path, target_path, starts, ends)
            starts = ends
    if starts != ends or ends == (0, 0):
        yield _part(source_path, target_path, starts, ends)


def require_equal_lines(source_path: str, target_path: str, errors: str = "strict") -> None:
    """Read both files once, so that bad files are reported before any record is made.

    Raises:
        UsageError: both are the same file.
        MassError: a file is missing, a line is too long or (with errors="strict") not UTF-8, or the files have
            different numbers of lines.
    """
    if source_path == target_path:
        raise UsageError(f"source and target are the same file {source_path!r}")
    source_lines, target_lines = (_count_lines(path, errors) for path in (source_path, target_path))
    if source_lines != target_lines:
        raise MassError(
            f"source {source_path!r} has {source_lines:,} lines and target {target_path!r} has {target_lines:,}; "
            f"line i of one must belong to line i of the other"
        )


def _part(source_path: str, target_path: str, starts: tuple[int, int], ends: tuple[int, int]) -> PairPart:
    return PairPart(FilePart(source_path, starts[0], ends[0]), FilePart(target_path, starts[1], ends[1]))


def _count_lines(path: str, errors: str) -> int:
    return sum(part.decode(errors).text.count("\n") for part in file_parts(require_file(path, "text file")))


def _line_ends(path: str, step_lines: int, block_bytes: int) -> Iterator[int]:
    """Yield the offset of the byte after every `step_lines`th line and after the last one."""
    with open(path, "rb") as stream:
        begin, seen, end = 0, 0, 0
        while block := stream.read(block_bytes):
            line_ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + begin + 1
            for end in line_ends[step_lines - 1 - seen % step_lines :: step_lines].tolist():
                yield end
            seen += len(line_ends)
            begin += len(block)
        if end != begin:
            yield begin
