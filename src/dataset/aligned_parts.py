"""Two text files whose lines belong together, cut into parts that hold the same lines of both."""
from collections.abc import Iterator
from itertools import zip_longest
from typing import NamedTuple

import numpy as np

from src.common.errors import MassError, UsageError
from src.common.files import require_file
from src.common.text_files import PART_BYTES, FilePart, file_parts

_STEP_LINES = 64  # between two places to cut at: few enough lines that even long ones make no large part
_BLOCK_BYTES = 1 << 20


class PairPart(NamedTuple):
    """Lines i to j of a source file and of its target file."""

    source: FilePart
    target: FilePart

    @property
    def size(self) -> int:
        return self.source.size + self.target.size


def aligned_parts(source_path: str, target_path: str) -> Iterator[PairPart]:
    """Cut a source and its target, of equally many lines, behind the same lines; two empty files are one empty part."""
    starts = ends = (0, 0)
    # Of equally many lines, so equally many cuts: only a byte-order mark alone is a file with a cut and no line.
    for ends in zip_longest(_cuts(source_path), _cuts(target_path), fillvalue=0):
        if sum(ends) - sum(starts) >= PART_BYTES:
            yield _part(source_path, target_path, starts, ends)
            starts = ends
    if starts != ends or ends == (0, 0):
        yield _part(source_path, target_path, starts, ends)


def require_equal_lines(source_path: str, target_path: str, errors: str = "strict") -> None:
    """Read both files once, so that what is wrong with them is found before anything is made of them.

    Raises:
        UsageError: they are one and the same file.
        MassError: a file is missing, holds a line that is too long or (errors="strict") not UTF-8, or they have
            different numbers of lines.
    """
    if source_path == target_path:
        raise UsageError(f"source and target are the same file {source_path!r}")
    source_lines, target_lines = (_count_lines(path, errors) for path in (source_path, target_path))
    if source_lines != target_lines:
        raise MassError(
            f"source {source_path!r} has {source_lines:,} lines and target {target_path!r} has {target_lines:,}; "
            f"line i of one must be the partner of line i of the other"
        )


def _part(source_path: str, target_path: str, starts: tuple[int, int], ends: tuple[int, int]) -> PairPart:
    return PairPart(FilePart(source_path, starts[0], ends[0]), FilePart(target_path, starts[1], ends[1]))


def _count_lines(path: str, errors: str) -> int:
    return sum(part.decode(errors).text.count("\n") for part in file_parts(require_file(path, "text file")))


def _cuts(path: str) -> Iterator[int]:
    """The byte behind every `_STEP_LINES`th line, and behind the last one."""
    with open(path, "rb") as stream:
        begin, seen, cut = 0, 0, 0
        while block := stream.read(_BLOCK_BYTES):
            line_ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + begin + 1
            for cut in line_ends[_STEP_LINES - 1 - seen % _STEP_LINES :: _STEP_LINES].tolist():
                yield cut
            seen += len(line_ends)
            begin += len(block)
        if cut != begin:
            yield begin
