"""The examples of a data set by their lengths: what batches are planned from."""
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from src.common.ragged import Ragged

_STRETCH = 1 << 20  # examples looked at in one go; bounds the memory of temporary arrays
_MOST_CLASSES = 4096


class LengthHistogram(NamedTuple):
    """How many examples there are of each length class, that is of each pair of source and target lengths."""

    source: np.ndarray  # [classes] int64, source symbols of the longest example of the class
    target: np.ndarray  # [classes] int64
    counts: np.ndarray  # [classes] int64, examples, at least 1


class GroupedExamples(NamedTuple):
    """The examples of a data set sorted by group, in the order of the data within a group: 4 bytes an example."""

    members: np.ndarray  # [examples] uint32
    starts: np.ndarray  # [groups + 1] int64: members[starts[g] : starts[g + 1]] are those of group g


class ExampleLengths:
    """Lengths of the examples, counted in one pass.

    Args:
        columns: the source and the target, or sentences alone.
        target_lengths: for sentences alone, what gives their target lengths for source lengths [n].
    """

    def __init__(self, columns: Sequence[Ragged],
                 target_lengths: Callable[[np.ndarray], np.ndarray] | None = None):
        self._lengths = [column.lengths for column in columns]
        self.longest = [int(lengths.max()) for lengths in self._lengths]
        shape = [longest + 1 for longest in self.longest]
        counts = sum(np.bincount(codes, minlength=int(np.prod(shape))) for codes in self._codes())
        present = np.flatnonzero(counts)
        lengths = np.unravel_index(present, shape)
        source, target = lengths if target_lengths is None else (lengths[0], target_lengths(lengths[0]))
        self.tokens = int((source + target) @ counts[present])  # source and target symbols of all examples
        class_of_present, self.histogram = _limited(LengthHistogram(source, target, counts[present]))
        self._class_of_code = np.zeros(len(counts), np.int64)
        self._class_of_code[present] = class_of_present

    def grouped(self, groups: np.ndarray) -> GroupedExamples:
        """Sort the examples by the groups [classes] of their classes."""
        sizes = np.bincount(groups, weights=self.histogram.counts).astype(np.int64)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        group_of_code = groups.astype(np.uint16)[self._class_of_code]  # numpy sorts 16-bit numbers in linear time
        members, free, first = np.empty(starts[-1], np.uint32), starts[:-1].copy(), 0
        for codes in self._codes():
            group = group_of_code[codes]
            order = np.argsort(group, kind="stable")
            counts = np.bincount(group, minlength=len(free))
            # The i-th of the stretch's members of a group goes to the i-th free place of that group.
            places = np.repeat(free - np.cumsum(counts) + counts, counts) + np.arange(len(order))
            members[places] = first + order
            free += counts
            first += len(order)
        return GroupedExamples(members, starts)

    def _codes(self) -> Iterator[np.ndarray]:
        """One number for the lengths of each example, a stretch of the data at a time."""
        shape = [longest + 1 for longest in self.longest]
        for start in range(0, len(self._lengths[0]), _STRETCH):
            stretch = [lengths[start : start + _STRETCH] for lengths in self._lengths]
            yield np.ravel_multi_index(stretch, shape)


def _limited(exact: LengthHistogram) -> tuple[np.ndarray, LengthHistogram]:
    """(class of each exact class, histogram): lengths rounded up where there are more classes than planning can take.

    Planning looks at all classes for each way to fill a row. Sentences have as many classes as lengths; only pairs of
    hundreds of symbols on both sides reach the limit, and rounding costs them little.
    """
    unit = 1
    while True:
        rounded = np.stack([-(-exact.source // unit) * unit, -(-exact.target // unit) * unit], axis=1)
        lengths, class_of = np.unique(np.minimum(rounded, [exact.source.max(), exact.target.max()]), axis=0,
                                      return_inverse=True)
        class_of = class_of.reshape(-1)
        if len(lengths) <= _MOST_CLASSES:
            counts = np.bincount(class_of, weights=exact.counts).astype(np.int64)
            return class_of, LengthHistogram(lengths[:, 0], lengths[:, 1], counts)
        unit *= 2
