"""The tables that decoding_speed.py prints."""
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from benchmarks.engines.search_workload import Cell

OURS, GENERATE, CTRANSLATE2, NO_CACHE = "ours", "generate", "CTranslate2", "no cache"  # programs


class Search(NamedTuple):
    """A search that is measured: a program, the number format of its matrix products, and how its threads are used."""

    program: str
    number_format: str = "float32"
    share_batches: bool = False  # see CTranslate2Search

    @property
    def name(self) -> str:
        """The name in tables and messages."""
        if self.program in (GENERATE, NO_CACHE):
            return self.program
        return f"{self.program} {self.number_format}" + (", shared" if self.share_batches else "")


class Measured(NamedTuple):
    """The measurements of a cell."""

    seconds: dict[Search, list[float]]  # of each round
    sentences: int  # in a round
    steps: int  # in a round

    def speed(self, search: Search) -> float:
        """Return sentences per second, the median over the rounds."""
        return self.sentences / statistics.median(self.seconds[search])

    def step(self, search: Search) -> float:
        """Return milliseconds per step of the whole batch, including the encoder's share."""
        return 1000 * statistics.median(self.seconds[search]) / self.steps

    def best(self, program: str) -> Search | None:
        """Return the fastest search of a program, None if it was not measured."""
        return max((search for search in self.seconds if search.program == program), key=self.speed, default=None)

    def ratios(self, ours: Search, peer: Search) -> list[float]:
        """Return the speed of the first search divided by that of the second, for each round."""
        return [other / own for own, other in zip(self.seconds[ours], self.seconds[peer], strict=True)]


def tables(results: Mapping[Cell, Measured]) -> str:
    """Return three Markdown tables with one line for each cell: sentences/s, milliseconds/step and ratios."""
    searches = list(dict.fromkeys(search for measured in results.values() for search in measured.seconds))
    names = [search.name for search in searches]
    return "\n\n".join([
        _table(["sentences/s", *names], results, lambda measured: _each(measured, searches, measured.speed, 1)),
        _table(["ms/step", *names], results, lambda measured: _each(measured, searches, measured.step, 2)),
        _table(["ratio", *_ratio_names(searches)], results, lambda measured: _ratio_cells(measured, searches))])


def memory_line(size: str, peak: Mapping[Search, int]) -> str:
    """Return a line on the peak memory of each search, in MB."""
    return f"- {size}, peak memory: {', '.join(f'{one.name} {bytes_ / 2**20:,.0f} MB' for one, bytes_ in peak.items())}"


def _table(names: Sequence[str], results: Mapping[Cell, Measured], cells) -> str:
    header = ["size", "beam", "batch", *names[1:]]
    lines = [f"{names[0]}:\n", _line(header), _line(["---", *["---:"] * (len(header) - 1)])]
    return "\n".join(lines + [_line([*map(str, cell), *cells(measured)]) for cell, measured in results.items()])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _each(measured: Measured, searches: Sequence[Search], figure, digits: int) -> list[str]:
    return [f"{figure(search):.{digits}f}" if search in measured.seconds else "-" for search in searches]


def _peers(searches: Sequence[Search]) -> list[str]:
    return [program for program in (GENERATE, CTRANSLATE2) if any(search.program == program for search in searches)]


def _ratio_names(searches: Sequence[Search]) -> list[str]:
    return [f"{search.name} / {peer}{', best' if peer == CTRANSLATE2 else ''}" for search in searches
            if search.program == OURS for peer in _peers(searches)]


def _ratio_cells(measured: Measured, searches: Sequence[Search]) -> list[str]:
    """Return the median and the range over the rounds of the ratio of each of our searches to each peer."""
    cells = []
    for search in searches:
        for peer in _peers(searches) if search.program == OURS else ():
            ratios = measured.ratios(search, measured.best(peer))
            cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    return cells
