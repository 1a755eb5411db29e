"""Bootstrap intervals (Efron, 1979; for scores of a test set: Koehn, EMNLP 2004)."""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

SAMPLES = 1000
_SEED = 12345  # any, but always the same: a score has one interval
_BLOCK = 1 << 22  # draws held in memory at once


class Interval(NamedTuple):
    """The range that holds 95% of the resampled scores."""

    low: float
    high: float


def resampled_sums(values: np.ndarray, samples: int = SAMPLES, seed: int = _SEED) -> np.ndarray:
    """[samples, k]: sums of `values` [n, k] over n examples drawn from the n with replacement."""
    count = len(values)
    generator = np.random.default_rng(seed)
    sums = np.empty((samples, values.shape[1]))
    block = max(1, _BLOCK // count)
    for first in range(0, samples, block):
        rows = min(block, samples - first)
        drawn = generator.integers(count, size=(rows, count)) + count * np.arange(rows)[:, None]
        times = np.bincount(drawn.reshape(-1), minlength=rows * count).reshape(rows, count)
        sums[first : first + rows] = times @ values
    return sums


def bootstrap_intervals(values: np.ndarray, score: Callable[[np.ndarray], np.ndarray]) -> list[Interval]:
    """95% intervals of scores that are made of sums over the examples.

    Args:
        values: [n, k] of each example.
        score: sums [samples, k] -> scores [samples, m].
    """
    ends = np.percentile(score(resampled_sums(values)), [2.5, 97.5], axis=0)
    return [Interval(float(low), float(high)) for low, high in ends.T]
