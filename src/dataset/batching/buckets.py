"""Padded lengths for batches with one example per row: a few, chosen from the data to keep padding low."""
import numpy as np

from src.dataset.batching.lengths import LengthHistogram


def choose_lengths(lengths: np.ndarray, counts: np.ndarray, buckets: int, multiple: int = 4) -> list[int]:
    """Return at most `buckets` padded lengths, multiples of `multiple`, with the least padding in total.

    This is dynamic programming over the histogram: best[b][j] is the least number of positions, padding included, for
    the examples up to the j-th candidate length with b buckets, of which the last has the j-th candidate length.

    Args:
        lengths: [n] integers.
        counts: [n], the number of examples of each length.
        buckets: the maximum number of lengths.
        multiple: each length is a multiple of this.

    Returns:
        The lengths in ascending order; the last one is at least the greatest of `lengths`.
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


def choose_buckets(lengths: LengthHistogram, buckets: int, target_share: float,
                   multiple: int = 4) -> list[tuple[int, int]]:
    """Return at most `buckets` pairs of padded lengths (source, target), ascending; the last one holds all examples.

    The source lengths are chosen first.

    Args:
        lengths: the lengths of the examples.
        buckets: the maximum number of pairs.
        target_share: each target length holds at least this share of the targets whose sources have this bucket;
            examples with longer targets go to a later bucket.
        multiple: each length is a multiple of this.
    """
    source_lengths = choose_lengths(lengths.source, lengths.counts, buckets, multiple)
    placed = np.searchsorted(source_lengths, lengths.source)
    targets = [_quantile(lengths.target[placed == i], lengths.counts[placed == i], target_share)
               for i in range(len(source_lengths) - 1)]
    targets = np.maximum.accumulate([*targets, int(lengths.target.max())])
    return [(s, int(-(-t // multiple) * multiple)) for s, t in zip(source_lengths, targets, strict=True)]


def place(lengths: LengthHistogram, buckets: list[tuple[int, int]]) -> np.ndarray:
    """Return the index of the first bucket that holds source and target of each length class, [classes]."""
    by_source = np.searchsorted([source_len for source_len, _ in buckets], lengths.source)
    by_target = np.searchsorted([target_len for _, target_len in buckets], lengths.target)
    return np.maximum(by_source, by_target)


def _quantile(values: np.ndarray, counts: np.ndarray, share: float) -> int:
    """Return the least of `values` that at least this share of the examples does not exceed."""
    order = np.argsort(values)
    reached = np.cumsum(counts[order])
    return int(values[order][np.searchsorted(reached, share * reached[-1])])
