"""Padded lengths for one example a row: a few, chosen from the data so that little is padded."""
import numpy as np

from src.dataset.batching.lengths import LengthHistogram


def choose_lengths(lengths: np.ndarray, counts: np.ndarray, buckets: int, multiple: int = 4) -> list[int]:
    """At most `buckets` padded lengths, multiples of `multiple`, that pad the examples least in total.

    Dynamic programming over the histogram: best[b][j] is the least number of padded positions for the sentences of up
    to the j-th candidate length with b buckets, the last of which ends there.

    Args:
        lengths: [n] integers.
        counts: [n], how many examples have each length.
    """
    sizes = -(-np.maximum(lengths, 1) // multiple)  # in units of `multiple`
    totals = np.concatenate([[0], np.cumsum(np.bincount(sizes, weights=counts)[1:])])  # totals[j]: up to j units
    longest = len(totals) - 1
    best = np.full((buckets + 1, longest + 1), np.inf)
    best[0, 0] = 0.0
    previous = np.zeros((buckets + 1, longest + 1), np.int64)
    for bucket in range(1, buckets + 1):
        for end in range(1, longest + 1):
            costs = best[bucket - 1, :end] + (totals[end] - totals[:end]) * end
            previous[bucket, end] = np.argmin(costs)
            best[bucket, end] = costs[previous[bucket, end]]
    bucket, end, chosen = int(np.argmin(best[:, longest])), longest, []
    while end:
        chosen.append(end * multiple)
        bucket, end = bucket - 1, int(previous[bucket, end])
    return chosen[::-1]


def choose_buckets(lengths: LengthHistogram, buckets: int, held: float, multiple: int = 4) -> list[tuple[int, int]]:
    """At most `buckets` pairs of padded lengths (source, target), growing, the last of which holds everything.

    Sources choose the lengths; each bucket's target length holds at least the share `held` of its targets, and the
    longer ones go to a later bucket.
    """
    source_lengths = choose_lengths(lengths.source, lengths.counts, buckets, multiple)
    placed = np.searchsorted(source_lengths, lengths.source)
    targets = [_quantile(lengths.target[placed == i], lengths.counts[placed == i], held)
               for i in range(len(source_lengths) - 1)]
    targets = np.maximum.accumulate([*targets, int(lengths.target.max())])
    return [(s, int(-(-t // multiple) * multiple)) for s, t in zip(source_lengths, targets, strict=True)]


def place(lengths: LengthHistogram, buckets: list[tuple[int, int]]) -> np.ndarray:
    """[classes]: index of the first bucket that holds the source and the target."""
    by_source = np.searchsorted([source_len for source_len, _ in buckets], lengths.source)
    by_target = np.searchsorted([target_len for _, target_len in buckets], lengths.target)
    return np.maximum(by_source, by_target)


def _quantile(values: np.ndarray, counts: np.ndarray, share: float) -> int:
    """The least of `values` that is not exceeded in at least this share of the examples."""
    order = np.argsort(values)
    reached = np.cumsum(counts[order])
    return int(values[order][np.searchsorted(reached, share * reached[-1])])
