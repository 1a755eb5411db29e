"""The shapes of the batches, and which examples go into which rows."""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from config.config import Config, DatasetConfig
from src.dataset.batching.batch import Shape
from src.dataset.batching.buckets import choose_buckets, place
from src.dataset.batching.lengths import LengthHistogram
from src.dataset.batching.packing import RowPatterns, choose_rows, pack


class Layout(NamedTuple):
    """How the examples of a data set are distributed over rows of one or several shapes."""

    shapes: list[Shape]
    groups: np.ndarray  # [classes] int64: the group of each length class
    patterns: list[RowPatterns]  # the rows of each shape


def packed_layout(lengths: LengthHistogram, data: DatasetConfig, micro_batches: int,
                  given: Sequence[Shape]) -> Layout:
    """Return a layout with several examples per row and one shape for all rows; each length class is a group.

    Args:
        lengths: the lengths of the examples.
        data: determines the size of a batch.
        micro_batches: the number of batches in an optimizer step, on all ranks together.
        given: shapes to use again; the first one that holds every example is taken.
    """
    groups = np.arange(len(lengths.counts))
    for shape in given:
        if _holds(shape, lengths):
            return Layout([shape], groups, [pack(lengths, shape.source_len, shape.target_len)])
    source_len, target_len, patterns = choose_rows(lengths, data.max_tokens or None)
    count, examples = int(patterns.repeats.sum()), int(lengths.counts.sum())
    # Without max_tokens, a batch has the number of rows that hold batch_size examples on average.
    rows = _rows_of_tokens(data, source_len, target_len) or max(1, round(data.batch_size * count / examples))
    return Layout([Shape(_rows_needed(count, rows, micro_batches), source_len, target_len)], groups, [patterns])


def bucket_layout(lengths: LengthHistogram, config: Config, micro_batches: int, given: Sequence[Shape],
                  target_share: float) -> Layout:
    """Return a layout with one example per row and a few shapes; an example belongs to the first shape that holds it.

    Args:
        lengths, micro_batches: see `packed_layout`.
        config: determines the number of shapes, the size of a batch and the greatest length.
        given: shapes to use again, in ascending order, if the last one holds every example.
        target_share: see `choose_buckets`.
    """
    data, limit = config.dataset_config, config.model_config.seq_length
    buckets = [(shape.source_len, shape.target_len) for shape in given]
    reuse = bool(given) and _holds(given[-1], lengths)
    if not reuse:
        # Lengths are rounded up, but there are no positions beyond seq_length.
        buckets = [(min(source_len, limit), min(target_len, limit))
                   for source_len, target_len in choose_buckets(lengths, data.num_buckets, target_share)]
    used, groups = np.unique(place(lengths, buckets), return_inverse=True)
    groups = groups.reshape(-1)
    shapes, patterns = [], []
    for group, bucket in enumerate(used):
        count = int(lengths.counts[groups == group].sum())
        rows = _rows_of_tokens(data, *buckets[bucket]) or data.batch_size
        shapes.append(given[bucket] if reuse else Shape(_rows_needed(count, rows, micro_batches), *buckets[bucket]))
        patterns.append(RowPatterns(np.array([[group]]), np.array([count])))
    return Layout(shapes, groups, patterns)


def _holds(shape: Shape, lengths: LengthHistogram) -> bool:
    return shape.source_len >= lengths.source.max() and shape.target_len >= lengths.target.max()


def _rows_of_tokens(data: DatasetConfig, source_len: int, target_len: int) -> int:
    """Return the number of rows that dataset_config.max_tokens allows, or 0 if it is not set."""
    return max(1, data.max_tokens // max(source_len, target_len)) if data.max_tokens else 0


def _rows_needed(total: int, wanted: int, micro_batches: int) -> int:
    """Return the rows that a batch of at most `wanted` rows needs when `total` rows are split evenly into steps."""
    steps = -(-total // (wanted * micro_batches))
    return -(-total // (steps * micro_batches))
