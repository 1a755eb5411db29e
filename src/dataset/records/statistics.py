"""What became of the text of a data set: counts of lines and tokens, and the lengths of the sequences."""
import numpy as np

from src.dataset.example_loader import LineCounts
from src.dataset.records.encoding import EncodedPart
from src.dataset.records.info import PERCENTILES


class RecordStatistics:
    """Adds up the statistics of encoded parts.

    Lengths are kept as histograms, so that the memory needed does not grow with the text.
    """

    def __init__(self, columns: tuple[str, ...]):
        self.columns = columns
        self.counts = LineCounts()
        self.unknown = dict.fromkeys(columns, 0)  # column -> number of `<unk>`
        self.histograms = {name: np.zeros(1, np.int64) for name in columns}  # column -> [longest + 1] sequences

    @property
    def kept(self) -> int:
        """The number of examples."""
        return int(self.histograms[self.columns[0]].sum())

    @property
    def tokens(self) -> dict[str, int]:
        """The number of tokens in each column, `</s>` included."""
        return {name: int(counts @ np.arange(len(counts))) for name, counts in self.histograms.items()}

    @property
    def longest(self) -> dict[str, int]:
        """The length of the longest sequence in each column, `</s>` included."""
        return {name: int(np.flatnonzero(counts)[-1]) for name, counts in self.histograms.items()}

    @property
    def percentiles(self) -> dict[str, dict[str, int]]:
        """Percentiles of the lengths in each column."""
        return {name: percentile_lengths(counts) for name, counts in self.histograms.items()}

    def add(self, part: EncodedPart) -> None:
        """Add the statistics of a part."""
        self.counts.add(part.examples.counts)
        for name in self.columns:
            self.unknown[name] += part.unknown[name]
            longer, shorter = sorted((self.histograms[name], part.histograms[name]), key=len, reverse=True)
            self.histograms[name] = longer.astype(np.int64)
            self.histograms[name][: len(shorter)] += shorter


def percentile_lengths(histogram: np.ndarray) -> dict[str, int]:
    """Return the shortest length that each percentage of the sequences does not exceed.

    Args:
        histogram: [longest + 1], the number of sequences of each length.
    """
    reached = np.cumsum(histogram)
    return {str(percent): int(np.searchsorted(reached, percent / 100 * reached[-1])) for percent in PERCENTILES}
