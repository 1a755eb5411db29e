"""The table that decoding_speed.py prints."""
import statistics
from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.engines.search_workload import Cell

OURS, PEER, NO_CACHE = "search", "pytorch search", "prefix search"  # names of engines
_HEADER = ("size", "beam", "batch", "ours, sentences/s", "generate, sentences/s", "ratio", "ratio by rounds",
           "no cache, sentences/s", "ours, ms/step", "generate, ms/step", "no cache, ms/step")


class Measured(NamedTuple):
    """The measurements of a cell."""

    seconds: dict[str, list[float]]  # of each round, by engine
    sentences: int  # in a round
    steps: int  # in a round

    def speed(self, engine: str) -> float:
        """Return sentences per second, the median over the rounds."""
        return self.sentences / statistics.median(self.seconds[engine])

    def step(self, engine: str) -> float:
        """Return milliseconds per step of the whole batch, including the encoder's share."""
        return 1000 * statistics.median(self.seconds[engine]) / self.steps

    @property
    def ratios(self) -> list[float]:
        """This search's speed divided by the peer's, for each round."""
        return [peer / ours for ours, peer in zip(self.seconds[OURS], self.seconds[PEER], strict=True)]

    def cells(self) -> list[str]:
        """Return the cells of a line of the table, after those of Cell."""
        ratios = self.ratios
        no_cache = NO_CACHE in self.seconds
        return [f"{self.speed(OURS):.1f}", f"{self.speed(PEER):.1f}", f"{self.speed(OURS) / self.speed(PEER):.2f}",
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
                f"{self.speed(NO_CACHE):.1f}" if no_cache else "-", f"{self.step(OURS):.2f}", f"{self.step(PEER):.2f}",
                f"{self.step(NO_CACHE):.1f}" if no_cache else "-"]


def table(results: Mapping[Cell, Measured]) -> str:
    """Return a Markdown table with one line for each cell."""
    lines = [_HEADER, ("---", *["---:"] * (len(_HEADER) - 1))]
    lines += [(*map(str, cell), *measured.cells()) for cell, measured in results.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
