"""Which examples stand in which batch: a pure function of data, seed and epoch."""
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from src.dataset.batch import Batch, Collate, Shape

# Independent streams of random numbers from one seed.
ORDER, CONTENT, FIXED_CONTENT = range(3)


class PlannedBatch(NamedTuple):
    """The examples of one batch; an index of -1 is an empty row."""

    indices: np.ndarray  # [rows] int64
    shape: Shape


class BatchPlan:
    """Batches of a data set: `place[i]` names the shape of example i.

    Every example stands in exactly one batch of an epoch; a shape's last batch is filled up with empty rows.
    """

    def __init__(self, place: np.ndarray, shapes: list[Shape], seed: int):
        self.place = place
        self.shapes = shapes
        self.seed = seed

    @property
    def batches_per_epoch(self) -> int:
        """The same in each epoch."""
        counts = np.bincount(self.place, minlength=len(self.shapes))
        return sum(-(-int(count) // shape.rows) for count, shape in zip(counts, self.shapes, strict=True))

    def epoch(self, epoch: int) -> list[PlannedBatch]:
        """The shuffled batches of epoch 0, 1, ..."""
        generator = np.random.default_rng((self.seed, ORDER, epoch))
        order = generator.permutation(len(self.place))
        batches = self._cut(order)
        return [batches[i] for i in generator.permutation(len(batches))]

    def in_order(self) -> list[PlannedBatch]:
        """The batches without shuffling, for validation and scoring."""
        return self._cut(np.arange(len(self.place)))

    def _cut(self, order: np.ndarray) -> list[PlannedBatch]:
        batches = []
        for number, shape in enumerate(self.shapes):
            members = order[self.place[order] == number]
            for start in range(0, len(members), shape.rows):
                indices = np.full(shape.rows, -1, np.int64)
                chosen = members[start : start + shape.rows]
                indices[: len(chosen)] = chosen
                batches.append(PlannedBatch(indices, shape))
        return batches


class BatchSource:
    """A data set ready for the network: a plan of batches and the function that fills one."""

    def __init__(self, plan: BatchPlan, collate: Collate, source_lengths: np.ndarray, target_lengths: np.ndarray):
        self.plan = plan
        self.collate = collate
        self.source_lengths = source_lengths
        self.target_lengths = target_lengths

    def __len__(self) -> int:
        """Examples."""
        return len(self.plan.place)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from number `start` on; what is random in batch i depends on (seed, epoch, i)."""
        for number, planned in enumerate(self.plan.epoch(epoch)[start:], start=start):
            yield self.collate(*planned, np.random.default_rng((self.plan.seed, CONTENT, epoch, number)))

    def in_order(self) -> Iterator[tuple[np.ndarray, Batch]]:
        """(indices, batch) of all examples, the same in each call."""
        for number, planned in enumerate(self.plan.in_order()):
            generator = np.random.default_rng((self.plan.seed, FIXED_CONTENT, number))
            yield planned.indices, self.collate(*planned, generator)

    def padding(self) -> float:
        """Share of padding among all positions of an epoch, source and target."""
        shapes = self.plan.shapes
        counts = np.bincount(self.plan.place, minlength=len(shapes))
        positions = sum(-(-int(count) // s.rows) * s.rows * (s.source_len + s.target_len)
                        for count, s in zip(counts, shapes, strict=True))
        return 1.0 - float(self.source_lengths.sum() + self.target_lengths.sum()) / positions
