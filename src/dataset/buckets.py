"""Padded lengths: a few, chosen from the data so that little is padded."""
import numpy as np

from src.dataset.batch import Shape


def choose_lengths(lengths: np.ndarray, count: int, multiple: int = 4) -> list[int]:
    """At most `count` padded lengths, multiples of `multiple`, that pad the given lengths least in total.

    Dynamic programming over the histogram: best[b][j] is the least number of padded positions for the sentences of up
    to the j-th candidate length with b buckets, the last of which ends there.
    """
    sizes = -(-np.maximum(lengths, 1) // multiple)  # in units of `multiple`
    totals = np.concatenate([[0], np.cumsum(np.bincount(sizes)[1:])])  # totals[j]: sentences of at most j units
    longest = len(totals) - 1
    best = np.full((count + 1, longest + 1), np.inf)
    best[0, 0] = 0.0
    previous = np.zeros((count + 1, longest + 1), np.int64)
    for bucket in range(1, count + 1):
        for end in range(1, longest + 1):
            costs = best[bucket - 1, :end] + (totals[end] - totals[:end]) * end
            previous[bucket, end] = np.argmin(costs)
            best[bucket, end] = costs[previous[bucket, end]]
    bucket, end, chosen = int(np.argmin(best[:, longest])), longest, []
    while end:
        chosen.append(end * multiple)
        bucket, end = bucket - 1, int(previous[bucket, end])
    return chosen[::-1]


def pair_lengths(source: np.ndarray, target: np.ndarray, count: int, multiple: int = 4) -> list[tuple[int, int]]:
    """At most `count` pairs of padded lengths (source, target), growing, the last of which holds everything.

    Sources choose the lengths; each bucket's target length holds 98% of its targets, and the few longer ones go to a
    later bucket.
    """
    source_lengths = choose_lengths(source, count, multiple)
    placed = np.searchsorted(source_lengths, source)
    targets = [int(np.quantile(target[placed == i], 0.98)) for i in range(len(source_lengths) - 1)]
    targets = np.maximum.accumulate([*targets, int(target.max())])
    return [(s, int(-(-t // multiple) * multiple)) for s, t in zip(source_lengths, targets, strict=True)]


def place(source: np.ndarray, target: np.ndarray, shapes: list[Shape]) -> np.ndarray:
    """[examples]: index of the first shape that holds the source and the target."""
    by_source = np.searchsorted([shape.source_len for shape in shapes], source)
    by_target = np.searchsorted([shape.target_len for shape in shapes], target)
    return np.maximum(by_source, by_target)
