"""Packing several examples into one row: there is little padding, and only one batch shape has to be compiled."""
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from src.dataset.batching.lengths import LengthHistogram

_WIDTHS = (1.0, 1.5, 2.0, 2.5, 3.0)  # lengths of a row to try, in multiples of the longest source
_LOW_PADDING = 0.05  # the cost of attention grows with the row: the shortest row with this padding or less is taken


class RowPatterns(NamedTuple):
    """Ways to fill a row with examples of certain groups, and the number of rows that are filled in each way."""

    groups: np.ndarray  # [patterns, slots] int64: the group of the example in each slot of the row, -1 for none
    repeats: np.ndarray  # [patterns] int64: the number of rows


class PackedRows(NamedTuple):
    """How all examples of a data set are put into rows of one size."""

    source_len: int
    target_len: int
    patterns: RowPatterns


def choose_rows(lengths: LengthHistogram, longest_row: int | None = None, multiple: int = 8) -> PackedRows:
    """Return rows of the shortest of a few lengths with at most 5% padding, or else of the one with the least padding.

    The target side of a row is as long as makes both sides equally full, but at least as long as the longest target.

    Args:
        lengths: the lengths of the examples.
        longest_row: no side of a row is longer than this, unless a single example is.
        multiple: source lengths of rows are multiples of this.
    """
    tokens = int((lengths.source + lengths.target) @ lengths.counts)
    best, least = None, 1.0
    for source_len, target_len in _row_lengths(lengths, longest_row, multiple):
        if least <= _LOW_PADDING and source_len > best.source_len:
            break
        found = PackedRows(source_len, target_len, pack(lengths, source_len, target_len))
        padding = 1.0 - tokens / (int(found.patterns.repeats.sum()) * (source_len + target_len))
        if padding < least:
            best, least = found, padding
    return best


def _row_lengths(lengths: LengthHistogram, longest_row: int | None, multiple: int) -> Iterator[tuple[int, int]]:
    """Yield the (source_len, target_len) to try, the shortest source first; the target length is rounded both ways."""
    longest_source, longest_target = int(lengths.source.max()), int(lengths.target.max())
    limit = max(longest_row or math.inf, longest_source, longest_target)
    sources, targets = int(lengths.source @ lengths.counts), int(lengths.target @ lengths.counts)
    for width in _WIDTHS:
        source_len = min(math.ceil(longest_source * width / multiple) * multiple, limit)
        equally_full = {source_len * targets // sources, -(-source_len * targets // sources)}
        for target_len in sorted({min(max(target, longest_target), limit) for target in equally_full}):
            yield source_len, target_len


def pack(lengths: LengthHistogram, source_len: int, target_len: int) -> RowPatterns:
    """Pack all examples of a histogram into rows of `source_len` and `target_len` positions.

    Packing works on the histogram (Krell et al., 2021, https://arxiv.org/abs/2107.02027), so that its time does not
    depend on the number of examples: one row is filled and repeated as long as there are examples for it. A row starts
    with the longest length class that is left. After that, the class that leaves the least room is added, measured by
    the squared norm of the free shares of both sides (Panigrahy et al., 2011, "Heuristics for vector bin packing"; in
    one dimension this is best fit).

    Returns:
        The patterns of the rows; their groups are the length classes.

    Raises:
        ValueError: an example does not fit into a row.
    """
    if lengths.source.max() > source_len or lengths.target.max() > target_len:
        raise ValueError(f"examples of up to {lengths.source.max()} and {lengths.target.max()} tokens do not fit into "
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
    """Return the length classes of one row; `counts` is the number of examples left, and the longest class is first."""
    counts, row, chosen = counts.copy(), [], int(np.argmax(counts > 0))
    source_free, target_free = source_len, target_len
    while True:
        row.append(chosen)
        counts[chosen] -= 1
        source_free, target_free = source_free - int(source[chosen]), target_free - int(target[chosen])
        source_left, target_left = source_free - source, target_free - target  # the room left if this class were added
        room = (source_left / source_len) ** 2 + (target_left / target_len) ** 2
        room[(counts == 0) | (source_left < 0) | (target_left < 0)] = np.inf
        chosen = int(np.argmin(room))
        if room[chosen] == np.inf:
            return row
