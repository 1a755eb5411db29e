"""Bootstrap confidence intervals (Efron, 1979; for scores of a test set: Koehn, EMNLP 2004)."""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

SAMPLES = 1000
_SEED = 12345  # fixed, so that a score always has the same interval
_BLOCK = 1 << 22  # draws held in memory at once


class Interval(NamedTuple):
    """The range that contains 95% of the resampled scores."""

    low: float
    high: float


def resampled_sums(values: np.ndarray, samples: int = SAMPLES, seed: int = _SEED, block: int = _BLOCK) -> np.ndarray:
    """Sum values over n examples that are drawn from the n examples with replacement.

    Args:
        values: [n, k].
        samples: how often to draw n examples.
        seed: of the draws.
        block: the number of draws held in memory at once; it does not change the result.

    Returns:
        The sums, [samples, k].
    """
    count = len(values)
    generator = np.random.default_rng(seed)
    sums = np.empty((samples, values.shape[1]))
    samples_at_once = max(1, block // count)
    for first in range(0, samples, samples_at_once):
        rows = min(samples_at_once, samples - first)
        drawn = generator.integers(count, size=(rows, count)) + count * np.arange(rows)[:, None]
        times = np.bincount(drawn.reshape(-1), minlength=rows * count).reshape(rows, count)
        sums[first : first + rows] = times @ values
    return sums


def bootstrap_intervals(values: np.ndarray, score: Callable[[np.ndarray], np.ndarray]) -> list[Interval]:
    """Return the 95% intervals of m scores that are functions of sums over the examples.

    Args:
        values: [n, k], the terms of the sums for each example.
        score: sums [samples, k] -> scores [samples, m].
    """
    with np.errstate(invalid="ignore"):  # the terms of a model that has diverged are not finite
        ends = np.percentile(score(resampled_sums(values)), [2.5, 97.5], axis=0)
    return [Interval(float(low), float(high)) for low, high in ends.T]
