"""Several examples in one row: little padding, and one batch shape to compile instead of several."""
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from src.dataset.batching.lengths import LengthHistogram

_WIDTHS = (1.0, 1.5, 2.0, 2.5, 3.0)  # of a row, in longest sources
_ENOUGH = 0.05  # attention costs grow with the row: the shortest row that pads no more than this is taken


class RowPatterns(NamedTuple):
    """Ways to fill a row with examples of certain groups, and how many rows are filled in each."""

    groups: np.ndarray  # [patterns, places] int64: the group of the example at each place of the row, -1 for none
    repeats: np.ndarray  # [patterns] int64, rows


class PackedRows(NamedTuple):
    """How all examples of a data set go into rows of one size."""

    source_len: int
    target_len: int
    patterns: RowPatterns


def choose_rows(lengths: LengthHistogram, longest_row: int | None = None, multiple: int = 8) -> PackedRows:
    """The shortest of a few row lengths, multiples of `multiple`, that pads at most 5%, or else that which pads least.

    The target side of a row has as many positions as make both sides equally full, and holds the longest target.

    Args:
        longest_row: no side of a row is longer than this, unless a single example is.
    """
    symbols = int((lengths.source + lengths.target) @ lengths.counts)
    best, least = None, 1.0
    for source_len, target_len in _row_lengths(lengths, longest_row, multiple):
        if least <= _ENOUGH and source_len > best.source_len:
            break
        found = PackedRows(source_len, target_len, pack(lengths, source_len, target_len))
        padding = 1.0 - symbols / (int(found.patterns.repeats.sum()) * (source_len + target_len))
        if padding < least:
            best, least = found, padding
    return best


def _row_lengths(lengths: LengthHistogram, longest_row: int | None, multiple: int) -> Iterator[tuple[int, int]]:
    """(source_len, target_len) to try, the shortest source first; the target that goes with it is rounded both ways."""
    longest_source, longest_target = int(lengths.source.max()), int(lengths.target.max())
    limit = max(longest_row or math.inf, longest_source, longest_target)
    sources, targets = int(lengths.source @ lengths.counts), int(lengths.target @ lengths.counts)
    for width in _WIDTHS:
        source_len = min(math.ceil(longest_source * width / multiple) * multiple, limit)
        equally_full = {source_len * targets // sources, -(-source_len * targets // sources)}
        for target_len in sorted({min(max(target, longest_target), limit) for target in equally_full}):
            yield source_len, target_len


def pack(lengths: LengthHistogram, source_len: int, target_len: int) -> RowPatterns:
    """Fill rows of `source_len` and `target_len` positions with all examples of a histogram, a group a length class.

    Packing works on the histogram (Krell et al., 2021, https://arxiv.org/abs/2107.02027), so that its time does not
    depend on the number of examples: one row is filled, and repeated as long as there are examples for it. A row begins
    with the longest class left; the next is always the one that leaves the least room, by the squared norm of the free
    shares of both sides (Panigrahy et al., 2011, "Heuristics for vector bin packing"; in one dimension: best fit).

    Raises:
        ValueError: an example does not fit into a row.
    """
    if lengths.source.max() > source_len or lengths.target.max() > target_len:
        raise ValueError(f"examples of up to {lengths.source.max()} and {lengths.target.max()} symbols do not fit into "
                         f"rows of {source_len} and {target_len}")
    order = np.argsort(-(lengths.source / source_len + lengths.target / target_len), kind="stable")
    source, target, left = lengths.source[order], lengths.target[order], lengths.counts[order]
    rows, repeats = [], []
    while left.any():
        row = _fill_row(source, target, left, source_len, target_len)
        classes, used = np.unique(row, return_counts=True)
        repeats.append(int((left[classes] // used).min()))
        left[classes] -= used * repeats[-1]
        rows.append(order[row])
    groups = np.full((len(rows), max(map(len, rows))), -1, np.int64)
    for pattern, row in enumerate(rows):
        groups[pattern, : len(row)] = row
    return RowPatterns(groups, np.array(repeats, np.int64))


def _fill_row(source: np.ndarray, target: np.ndarray, counts: np.ndarray, source_len: int,
              target_len: int) -> list[int]:
    """The classes of one row, from those of which there are `counts`; the longest class comes first in the arrays."""
    counts, row, chosen = counts.copy(), [], int(np.argmax(counts > 0))
    source_free, target_free = source_len, target_len
    while True:
        row.append(chosen)
        counts[chosen] -= 1
        source_free, target_free = source_free - int(source[chosen]), target_free - int(target[chosen])
        source_left, target_left = source_free - source, target_free - target  # after each class
        room = (source_left / source_len) ** 2 + (target_left / target_len) ** 2
        room[(counts == 0) | (source_left < 0) | (target_left < 0)] = np.inf
        chosen = int(np.argmin(room))
        if room[chosen] == np.inf:
            return row
