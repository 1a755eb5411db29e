"""The batches of a data set for one rank."""
from collections.abc import Iterator

import numpy as np

from src.common.counter_random import ExampleRandom, random_key
from src.dataset.batching.batch import Batch, Shape
from src.dataset.batching.collate import Collate
from src.dataset.batching.plan import CONTENT, FIXED_CONTENT, BatchPlan


class BatchSource:
    """Iterates over the batches of a plan.

    An optimizer step consists of `accumulate` batches on each of `world_size` processes, all of one shape. The random
    numbers for an example depend only on (seed, epoch, example). Therefore one process with batches of 2B rows, two
    processes with batches of B rows, and one process that accumulates two batches of B rows train on the same numbers.

    Args:
        plan: which examples belong to which batch.
        collate: makes a batch from examples.
        tokens: the number of source and target tokens of all examples.
        accumulate: the number of batches of a step on each process.
        rank: the number of this process, 0 .. world_size - 1.
        world_size: the number of processes.
    """

    def __init__(self, plan: BatchPlan, collate: Collate, tokens: int, accumulate: int = 1, rank: int = 0,
                 world_size: int = 1):
        self.plan = plan
        self.collate = collate
        self.tokens = tokens
        self.accumulate = accumulate
        self.rank = rank
        self.world_size = world_size

    def __len__(self) -> int:
        """Return the number of examples on all processes together."""
        return len(self.plan.examples.members)

    @property
    def steps_per_epoch(self) -> int:
        """The number of optimizer steps, which is the same in each epoch and on each process."""
        return self.plan.step_count(self._micro_batches)

    def steps(self, epoch: int, start: int = 0) -> Iterator[list[Batch]]:
        """Yield the batches of this process for each step of an epoch from step `start` on: `accumulate` per step."""
        key = random_key(self.plan.seed, CONTENT, epoch)
        for number in range(start, self.steps_per_epoch):
            indices, shape = self.plan.step(number, self._micro_batches, epoch)
            yield [self._batch(part, shape, key) for part in indices[self.rank :: self.world_size]]

    def in_order(self) -> Iterator[tuple[np.ndarray, Batch]]:
        """Yield (indices, batch) for this process's share of the examples, each of them once; every call is the same.

        The indices are those of the examples in each slot of each row, [rows * slots], with -1 for an empty slot: with
        one example per row, indices[i] is the example in row i.
        """
        key = random_key(self.plan.seed, FIXED_CONTENT)
        for number in range(self.plan.step_count(self.world_size)):
            indices, shape = self.plan.step(number, self.world_size)
            mine = indices[self.rank]
            yield mine.reshape(-1), self._batch(mine, shape, key)

    def padding(self) -> float:
        """Return the share of padding among all source and target positions of an epoch."""
        return 1.0 - self.tokens / self.plan.positions(self._micro_batches)

    @property
    def _micro_batches(self) -> int:
        return self.accumulate * self.world_size

    def _batch(self, indices: np.ndarray, shape: Shape, key: np.ndarray) -> Batch:
        return self.collate(indices, shape, ExampleRandom(key, indices[indices >= 0]))
