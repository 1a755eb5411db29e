"""What decoding_speed.py prints."""
import statistics
from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.engines.search_workload import Cell

OURS, PEER, FORMER = "search", "pytorch search", "prefix search"  # names of engines
_HEADER = ("size", "beam", "batch", "ours, sentences/s", "generate, sentences/s", "ratio", "ratio by rounds",
           "former way, sentences/s", "ours, ms/step", "generate, ms/step", "former way, ms/step")


class Measured(NamedTuple):
    """Seconds of each round, by engine."""

    seconds: dict[str, list[float]]
    sentences: int  # of a round
    steps: int  # of a sentence

    def speed(self, engine: str) -> float:
        """Sentences a second, the median over the rounds."""
        return self.sentences / statistics.median(self.seconds[engine])

    def step(self, engine: str) -> float:
        """Milliseconds of a step of the whole batch, the encoder's work included."""
        return 1000 * statistics.median(self.seconds[engine]) / self.steps

    @property
    def ratios(self) -> list[float]:
        """Our speed over the peer's, of each round."""
        return [peer / ours for ours, peer in zip(self.seconds[OURS], self.seconds[PEER], strict=True)]

    def cells(self) -> list[str]:
        """What the table says."""
        ratios = self.ratios
        former = FORMER in self.seconds
        return [f"{self.speed(OURS):.1f}", f"{self.speed(PEER):.1f}", f"{self.speed(OURS) / self.speed(PEER):.2f}",
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
                f"{self.speed(FORMER):.1f}" if former else "-", f"{self.step(OURS):.2f}", f"{self.step(PEER):.2f}",
                f"{self.step(FORMER):.1f}" if former else "-"]


def table(results: Mapping[Cell, Measured]) -> str:
    """Markdown, a line for each cell."""
    lines = [_HEADER, ("---", *["---:"] * (len(_HEADER) - 1))]
    lines += [(*map(str, cell), *measured.cells()) for cell, measured in results.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
