"""Stands for the batch interface of branch issue3 (BatchSource.steps) until it is merged; then this file goes."""
from collections.abc import Iterator

import numpy as np

from src.dataset.batch import Batch
from src.dataset.batch_plan import CONTENT, BatchSource


class StepSource:
    """A BatchSource whose batches are dealt out in steps of `accumulate` batches for each of `world_size` ranks."""

    def __init__(self, source: BatchSource, accumulate: int = 1, rank: int = 0, world_size: int = 1):
        self.source, self.plan = source, source.plan
        self.accumulate, self.rank, self.world_size = accumulate, rank, world_size
        self.tokens = int(source.source_lengths.sum() + source.target_lengths.sum())

    def __len__(self) -> int:
        return len(self.source)

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.plan.batches_per_epoch // (self.accumulate * self.world_size))

    def steps(self, epoch: int, start: int = 0) -> Iterator[list[Batch]]:
        planned, micro = self.plan.epoch(epoch), self.accumulate * self.world_size
        for step in range(start, self.steps_per_epoch):
            numbers = range(step * micro + self.rank, (step + 1) * micro, self.world_size)
            yield [self._batch(planned, epoch, number) for number in numbers]

    def in_order(self) -> Iterator[tuple[np.ndarray, Batch]]:
        for number, item in enumerate(self.source.in_order()):
            if number % self.world_size == self.rank:
                yield item

    def padding(self) -> float:
        return self.source.padding()

    def _batch(self, planned, epoch: int, number: int) -> Batch:
        generator = np.random.default_rng((self.plan.seed, CONTENT, epoch, number))
        indices, shape = planned[min(number, len(planned) - 1)]
        return self.source.collate(indices if number < len(planned) else np.full_like(indices, -1), shape, generator)
