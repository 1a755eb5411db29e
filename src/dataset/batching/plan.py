"""Which examples belong to which batch, as a pure function of data, seed, epoch and step.

Nothing is stored for an epoch: shuffles are computed where they are needed (src/common/counter_random.py). Therefore
any step of any epoch is available at once, and a plan takes 4 bytes of memory per example.
"""
from typing import NamedTuple

import numpy as np

from src.common.counter_random import permuted, random_key
from src.dataset.batching.batch import Shape
from src.dataset.batching.lengths import GroupedExamples
from src.dataset.batching.packing import RowPatterns

# The purposes of random numbers; each has its own stream of numbers from the same seed.
STEP_ORDER, ROW_ORDER, EXAMPLE_ORDER, CONTENT, FIXED_CONTENT = range(5)


class PlannedStep(NamedTuple):
    """The examples of one optimizer step, which consists of several batches of one shape."""

    indices: np.ndarray  # [batches, rows, slots] int64, -1 for an empty slot
    shape: Shape


class BatchPlan:
    """Distributes all examples over rows, and the rows over the steps of an epoch.

    A step consists of `micro_batches` batches of one shape. The rows of a shape are split evenly into as few steps as
    can hold them, and the rows of a step evenly among its batches. Every example belongs to exactly one row of an
    epoch, and the rows that remain empty are spread over the epoch.

    Args:
        examples: the examples of each group.
        patterns: for each shape, how its rows are filled with examples of which groups.
        shapes: the shapes of the batches.
        seed: determines the order of the steps, rows and examples in each epoch.
    """

    def __init__(self, examples: GroupedExamples, patterns: list[RowPatterns], shapes: list[Shape], seed: int):
        self.examples = examples
        self.shapes = shapes
        self.seed = seed
        self._rows = [_Rows(part, examples) for part in patterns]

    def step_count(self, micro_batches: int) -> int:
        """Return the number of steps in an epoch."""
        return sum(self._steps_of_shapes(micro_batches))

    def step(self, number: int, micro_batches: int, epoch: int | None = None) -> PlannedStep:
        """Return step `number` of an epoch (0, 1, ...); without an epoch, nothing is shuffled, as for validation."""
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
        """Return the number of source and target positions, padding included, in all batches of an epoch."""
        return sum(steps * micro_batches * shape.rows * (shape.source_len + shape.target_len)
                   for steps, shape in zip(self._steps_of_shapes(micro_batches), self.shapes, strict=True))

    def _steps_of_shapes(self, micro_batches: int) -> list[int]:
        """Return the number of steps in an epoch for each shape."""
        return [-(-rows.count // (shape.rows * micro_batches))
                for rows, shape in zip(self._rows, self.shapes, strict=True)]

    def _examples_of(self, rows: "_Rows", chosen: np.ndarray, epoch: int | None) -> np.ndarray:
        """Return the examples of the chosen rows, [rows, slots]; each epoch shuffles the examples of a group."""
        groups, members = rows.slots(chosen)
        occupied = groups >= 0
        group, member, starts = groups[occupied], members[occupied], self.examples.starts
        if epoch is not None:
            keys = random_key(self.seed, EXAMPLE_ORDER, epoch, group)
            member = permuted(member, starts[group + 1] - starts[group], keys)
        found = np.full(groups.shape, -1, np.int64)
        found[occupied] = self.examples.members[starts[group] + member]
        return found


class _Rows:
    """The rows of one shape, numbered from 0, one pattern after the other."""

    def __init__(self, patterns: RowPatterns, examples: GroupedExamples):
        self.groups = patterns.groups
        self.ends = np.cumsum(patterns.repeats)  # [patterns]: the number of the first row after those of each pattern
        self.count = int(self.ends[-1])
        # Each slot of a pattern takes consecutive examples of its group, one for each row of the pattern.
        flat = self.groups.reshape(-1)
        taken = np.repeat(patterns.repeats, self.groups.shape[1])
        order = np.argsort(flat, kind="stable")
        before = np.cumsum(taken[order]) - taken[order]
        first_of_group = np.searchsorted(flat[order], flat[order])
        members = np.empty_like(flat)
        members[order] = before - before[first_of_group]
        self.first_members = members.reshape(self.groups.shape)  # [patterns, slots]: member in the first row

    def slots(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the group of the example in each slot of the rows (-1: none), and its number in the group.

        Both arrays are [rows, slots].
        """
        pattern = np.searchsorted(self.ends, rows, side="right")
        since_first = rows - np.concatenate([[0], self.ends])[pattern]
        return self.groups[pattern], self.first_members[pattern] + since_first[:, None]


def _share(total: int, parts: int, number: int) -> tuple[int, int]:
    """Return the start and end of part `number` when 0 .. total - 1 is split into parts of almost equal size."""
    return total * number // parts, total * (number + 1) // parts
