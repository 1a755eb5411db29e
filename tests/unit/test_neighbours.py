"""Benchmarks beside busy processes (--loaded)."""
import os
import time

from benchmarks.engines.neighbours import Neighbours, busy_neighbours
from benchmarks.engines.processes import Round
from tests.helpers.scripts import run_script


class FakeEngine:
    """Takes longer beside neighbours."""

    def __init__(self, *seconds: float):
        self._seconds = list(seconds)

    def run(self, layout, numbers):
        return Round(self._seconds.pop(0), [float(len(numbers))], 0)


def test_shares_are_medians_of_the_rounds():
    neighbours, engine = Neighbours(1), FakeEngine(2.0, 4.0, 8.0)
    for _ in range(3):
        neighbours.repeat("small", "ours", engine, "packed", range(1), Round(2.0, [1.0], 0))
    assert neighbours.table().splitlines()[-1] == "| small | ours | 2.00 | 4.00 | 0.50 | 0.25 to 1.00 |"


def test_nothing_is_repeated_without_neighbours():
    neighbours = Neighbours(0)
    neighbours.repeat("small", "ours", None, "packed", range(1), Round(2.0, [1.0], 0))
    assert neighbours.table() == ""


def test_neighbours_are_busy_and_end():
    def load() -> float:
        return sum(os.times()[2:4])  # processor time of children that have ended

    before = load()
    with busy_neighbours(2):
        time.sleep(0.5)
    assert load() - before > 0.05


def test_a_negative_number_is_refused():
    for script in ("decoding_speed.py", "training_speed.py"):
        assert "--loaded must be at least 0" in run_script(f"benchmarks/{script}", "--loaded", -1, code=2).stderr
