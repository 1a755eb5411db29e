"""Which examples stand in which batch: a pure function of data, seed, epoch and step.

Nothing is stored for an epoch: shuffles are computed where they are needed (src/common/counter_random.py), so that any
step of any epoch is there at once, and the memory is 4 bytes an example.
"""
from typing import NamedTuple

import numpy as np

from src.common.counter_random import permuted, random_key
from src.dataset.batching.batch import Shape
from src.dataset.batching.lengths import GroupedExamples
from src.dataset.batching.packing import RowPatterns

# Independent streams of random numbers from one seed.
STEP_ORDER, ROW_ORDER, EXAMPLE_ORDER, CONTENT, FIXED_CONTENT = range(5)


class PlannedStep(NamedTuple):
    """The examples of one optimizer step, which is several batches of one shape."""

    indices: np.ndarray  # [batches, rows, places] int64, -1 where none stands
    shape: Shape


class BatchPlan:
    """All examples in rows, and the rows in steps.

    A step is `micro_batches` batches of one shape. Their rows are drawn from all rows of that shape, which are split
    evenly into as few steps as hold them, and a step's rows evenly among its batches: every example stands in exactly
    one row of an epoch, and the rows that stay empty are spread over the epoch.

    Args:
        examples: by group.
        patterns: for each shape, how its rows are filled with examples of which groups.
        shapes: the size of a batch.
        seed: for the orders of the epochs.
    """

    def __init__(self, examples: GroupedExamples, patterns: list[RowPatterns], shapes: list[Shape], seed: int):
        self.examples = examples
        self.shapes = shapes
        self.seed = seed
        self._rows = [_Rows(part, examples) for part in patterns]

    def step_count(self, micro_batches: int) -> int:
        """Steps of an epoch."""
        return sum(self._steps_of_shapes(micro_batches))

    def step(self, number: int, micro_batches: int, epoch: int | None = None) -> PlannedStep:
        """Step `number` of epoch 0, 1, ... or, without one, in the order of the plan: for validation and scoring."""
        steps = np.cumsum([0, *self._steps_of_shapes(micro_batches)])
        if epoch is not None:
            number = int(permuted(np.array([number]), steps[-1], random_key(self.seed, STEP_ORDER, epoch))[0])
        kind = int(np.searchsorted(steps, number, side="right")) - 1
        rows, shape = self._rows[kind], self.shapes[kind]
        first, last = _share(rows.count, int(steps[kind + 1] - steps[kind]), number - int(steps[kind]))
        chosen = np.arange(first, last)
        if epoch is not None:
            chosen = permuted(chosen, rows.count, random_key(self.seed, ROW_ORDER, epoch, kind))
        content = self._examples_of(rows, chosen, epoch)
        indices = np.full((micro_batches, shape.rows, content.shape[1]), -1, np.int64)
        for batch in range(micro_batches):
            first, last = _share(len(content), micro_batches, batch)
            indices[batch, : last - first] = content[first:last]
        return PlannedStep(indices, shape)

    def positions(self, micro_batches: int) -> int:
        """Source and target positions of all batches of an epoch."""
        return sum(steps * micro_batches * shape.rows * (shape.source_len + shape.target_len)
                   for steps, shape in zip(self._steps_of_shapes(micro_batches), self.shapes, strict=True))

    def _steps_of_shapes(self, micro_batches: int) -> list[int]:
        return [-(-rows.count // (shape.rows * micro_batches))
                for rows, shape in zip(self._rows, self.shapes, strict=True)]

    def _examples_of(self, rows: "_Rows", chosen: np.ndarray, epoch: int | None) -> np.ndarray:
        """[rows, places]: the examples of the chosen rows; each epoch shuffles the examples of a group."""
        groups, ranks = rows.places(chosen)
        there = groups >= 0
        group, rank, starts = groups[there], ranks[there], self.examples.starts
        if epoch is not None:
            keys = random_key(self.seed, EXAMPLE_ORDER, epoch, group)
            rank = permuted(rank, starts[group + 1] - starts[group], keys)
        found = np.full(groups.shape, -1, np.int64)
        found[there] = self.examples.members[starts[group] + rank]
        return found


class _Rows:
    """The rows of one shape, numbered pattern by pattern."""

    def __init__(self, patterns: RowPatterns, examples: GroupedExamples):
        self.groups = patterns.groups
        self.ends = np.cumsum(patterns.repeats)  # [patterns]: number of the first row after each pattern's
        self.count = int(self.ends[-1])
        # Each place of a pattern takes as many examples of its group, one after another, as the pattern has rows.
        flat = self.groups.reshape(-1)
        taken = np.repeat(patterns.repeats, self.groups.shape[1])
        order = np.argsort(flat, kind="stable")
        before = np.cumsum(taken[order]) - taken[order]
        first_of_group = np.searchsorted(flat[order], flat[order])
        ranks = np.empty_like(flat)
        ranks[order] = before - before[first_of_group]
        self.first_ranks = ranks.reshape(self.groups.shape)  # [patterns, places]

    def places(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Group (-1: none) and rank within the group of the example at each place of the rows, [rows, places] each."""
        pattern = np.searchsorted(self.ends, rows, side="right")
        since_first = rows - np.concatenate([[0], self.ends])[pattern]
        return self.groups[pattern], self.first_ranks[pattern] + since_first[:, None]


def _share(total: int, parts: int, number: int) -> tuple[int, int]:
    """Beginning and end of part `number` of 0 .. total - 1, split into parts that differ by at most one."""
    return total * number // parts, total * (number + 1) // parts
