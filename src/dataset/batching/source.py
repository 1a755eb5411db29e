"""The batches of a data set, for one process of possibly several."""
from collections.abc import Iterator

import numpy as np

from src.common.counter_random import ExampleRandom, random_key
from src.dataset.batching.batch import Batch, Collate, Shape
from src.dataset.batching.plan import CONTENT, FIXED_CONTENT, BatchPlan


class BatchSource:
    """A plan of batches and the function that fills one.

    An optimizer step is `accumulate` batches on each of `world_size` processes, all of one shape. What is random in an
    example depends on (seed, epoch, example) only, so that one process with batches of 2B rows, two with B, and one
    that accumulates two of B learn from the same numbers.

    Args:
        tokens: source and target symbols of all examples.
        rank: this process, 0 .. world_size - 1.
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
        """Examples, those of all processes."""
        return len(self.plan.examples.members)

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps, the same in each epoch and for each process."""
        return self.plan.step_count(self._micro_batches)

    def steps(self, epoch: int, start: int = 0) -> Iterator[list[Batch]]:
        """The batches of this process in each step of an epoch, from step `start` on: [accumulate] each."""
        key = random_key(self.plan.seed, CONTENT, epoch)
        for number in range(start, self.steps_per_epoch):
            indices, shape = self.plan.step(number, self._micro_batches, epoch)
            yield [self._fill(part, shape, key) for part in indices[self.rank :: self.world_size]]

    def in_order(self) -> Iterator[tuple[np.ndarray, Batch]]:
        """(indices, batch) of this process' share of the examples, each once; the same in each call.

        The indices are those of the examples, place by place and row by row, [rows * places], -1 where none stands:
        with one example a row, indices[i] is the example of row i.
        """
        key = random_key(self.plan.seed, FIXED_CONTENT)
        for number in range(self.plan.step_count(self.world_size)):
            indices, shape = self.plan.step(number, self.world_size)
            mine = indices[self.rank]
            yield mine.reshape(-1), self._fill(mine, shape, key)

    def describe(self, epoch: int, number: int) -> list[int]:
        """The examples of a step, of all processes: so that an error can name the sentences it met."""
        indices, _ = self.plan.step(number, self._micro_batches, epoch)
        return indices[indices >= 0].tolist()

    def padding(self) -> float:
        """Share of padding among all positions of an epoch, source and target."""
        return 1.0 - self.tokens / self.plan.positions(self._micro_batches)

    @property
    def _micro_batches(self) -> int:
        return self.accumulate * self.world_size

    def _fill(self, indices: np.ndarray, shape: Shape, key: np.ndarray) -> Batch:
        return self.collate(indices, shape, ExampleRandom(key, indices[indices >= 0]))
