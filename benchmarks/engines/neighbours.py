"""Measuring beside other processes: the same rounds once more while some processes never sleep."""
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.engines.processes import EngineProcess, Round

_NEIGHBOUR = "import os\nwhile os.getppid() == {parent}:\n    for _ in range(1000000): pass"
_START = 0.3  # seconds until the system has spread the neighbours over the processors
_HEADER = ("measured", "engine", "alone, s", "beside, s", "share of the speed kept", "by rounds")


@contextmanager
def busy_neighbours(count: int) -> Iterator[None]:
    """Run processes that are always busy, each in a session of its own as the programs of other users are."""
    program = _NEIGHBOUR.format(parent=os.getpid())  # so that they end with this process, however it ends
    processes = [subprocess.Popen([sys.executable, "-c", program], start_new_session=True) for _ in range(count)]
    try:
        time.sleep(_START if count else 0.0)
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


class Neighbours:
    """Repeats rounds beside busy processes, and keeps the times.

    Args:
        count: number of processes; with 0 nothing is repeated.
    """

    def __init__(self, count: int):
        self._count = count
        self._seconds: dict[tuple[str, str], list[tuple[float, float]]] = {}

    def repeat(self, measured: str, name: str, engine: EngineProcess, layout: str, numbers: range,
               alone: Round) -> None:
        """Run a round, which took `alone` before, once more beside the neighbours.

        Args:
            measured: what is measured, the first column of the table.
            name: of the engine, the second column.
            layout, numbers: see EngineProcess.run.
        """
        if self._count:
            with busy_neighbours(self._count):
                beside = engine.run(layout, numbers)
            self._seconds.setdefault((measured, name), []).append((alone.seconds, beside.seconds))

    def table(self) -> str:
        """Return a Markdown table of medians over the rounds, and of the shares of single rounds; "" without any."""
        if not self._seconds:
            return ""
        lines = [_HEADER, ("---", "---", *["---:"] * (len(_HEADER) - 2))]
        lines += [(*key, *_cells(seconds)) for key, seconds in self._seconds.items()]
        title = f"beside {self._count} busy process{'es' * (self._count > 1)}:"
        return "\n".join([title, "", *(f"| {' | '.join(cells)} |" for cells in lines)])


def _cells(seconds: list[tuple[float, float]]) -> list[str]:
    alone, beside = (statistics.median(times) for times in zip(*seconds, strict=True))
    shares = [first / second for first, second in seconds]
    return [f"{alone:.2f}", f"{beside:.2f}", f"{statistics.median(shares):.2f}",
            f"{min(shares):.2f} to {max(shares):.2f}"]
