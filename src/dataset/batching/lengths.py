"""The lengths of a data set's examples, from which batches are planned."""
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from src.common.ragged import Ragged

BLOCK_SIZE = 1 << 20  # examples processed at a time; bounds the memory of temporary arrays
MAX_CLASSES = 4096  # planning considers all classes for each way to fill a row


class LengthHistogram(NamedTuple):
    """The number of examples in each length class, that is, with each pair of source and target lengths."""

    source: np.ndarray  # [classes] int64, the greatest number of source tokens in the class
    target: np.ndarray  # [classes] int64, the same for target tokens
    counts: np.ndarray  # [classes] int64, number of examples, at least 1


class GroupedExamples(NamedTuple):
    """The examples of a data set sorted by group, and within a group in the order of the data; 4 bytes per example."""

    members: np.ndarray  # [examples] uint32
    starts: np.ndarray  # [groups + 1] int64: group g is members[starts[g] : starts[g + 1]]


class ExampleLengths:
    """The lengths of the examples, counted in one pass.

    Args:
        columns: source and target, or sentences alone.
        target_lengths: for sentences alone, the function that returns the target lengths for source lengths [n].
        max_classes: the maximum number of length classes; lengths are rounded up if there are more.
        block_size: the number of examples that are processed at a time.
    """

    def __init__(self, columns: Sequence[Ragged], target_lengths: Callable[[np.ndarray], np.ndarray] | None = None,
                 max_classes: int = MAX_CLASSES, block_size: int = BLOCK_SIZE):
        self._lengths = [column.lengths for column in columns]
        self._block_size = block_size
        self.longest = [int(lengths.max()) for lengths in self._lengths]
        shape = [longest + 1 for longest in self.longest]
        counts = sum(np.bincount(codes, minlength=int(np.prod(shape))) for codes in self._codes())
        present = np.flatnonzero(counts)
        lengths = np.unravel_index(present, shape)
        source, target = lengths if target_lengths is None else (lengths[0], target_lengths(lengths[0]))
        self.tokens = int((source + target) @ counts[present])  # source and target tokens of all examples
        class_of_present, self.histogram = _limited(LengthHistogram(source, target, counts[present]), max_classes)
        self._class_of_code = np.zeros(len(counts), np.int64)
        self._class_of_code[present] = class_of_present

    def grouped(self, groups: np.ndarray) -> GroupedExamples:
        """Return the examples sorted by group; `groups`, [classes], is the group of each length class."""
        sizes = np.bincount(groups, weights=self.histogram.counts).astype(np.int64)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        group_of_code = groups.astype(np.uint16)[self._class_of_code]  # numpy sorts 16-bit numbers in linear time
        members, free, first = np.empty(starts[-1], np.uint32), starts[:-1].copy(), 0
        for codes in self._codes():
            group = group_of_code[codes]
            order = np.argsort(group, kind="stable")
            counts = np.bincount(group, minlength=len(free))
            # The i-th member of a group in this block goes to the i-th free place of that group.
            places = np.repeat(free - np.cumsum(counts) + counts, counts) + np.arange(len(order))
            members[places] = first + order
            free += counts
            first += len(order)
        return GroupedExamples(members, starts)

    def _codes(self) -> Iterator[np.ndarray]:
        """Yield a number for each example that encodes its lengths, one block of the data at a time."""
        shape = [longest + 1 for longest in self.longest]
        for start in range(0, len(self._lengths[0]), self._block_size):
            block = [lengths[start : start + self._block_size] for lengths in self._lengths]
            yield np.ravel_multi_index(block, shape)


def _limited(exact: LengthHistogram, max_classes: int) -> tuple[np.ndarray, LengthHistogram]:
    """Return (new class of each class, histogram) with at most `max_classes` classes, rounding lengths up as needed.

    Sentences have as many classes as lengths; only pairs with hundreds of tokens on both sides reach the usual limit,
    and rounding adds little padding to them.
    """
    unit = 1
    while True:
        rounded = np.stack([-(-exact.source // unit) * unit, -(-exact.target // unit) * unit], axis=1)
        lengths, class_of = np.unique(np.minimum(rounded, [exact.source.max(), exact.target.max()]), axis=0,
                                      return_inverse=True)
        class_of = class_of.reshape(-1)
        if len(lengths) <= max_classes:
            counts = np.bincount(class_of, weights=exact.counts).astype(np.int64)
            return class_of, LengthHistogram(lengths[:, 0], lengths[:, 1], counts)
        unit *= 2
