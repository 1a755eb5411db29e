"""The benchmark of the search: its figures, its workload and its command line."""

import numpy as np

from benchmarks.engines.search_report import NO_CACHE, OURS, PEER, Measured, table
from benchmarks.engines.search_workload import FIRST_TOKEN, Cell, random_sources
from tests.helpers.scripts import run_script


def test_figures_are_medians_of_rounds():
    seconds = {OURS: [2.0, 4.0, 2.0], PEER: [4.0, 6.0, 5.0], NO_CACHE: [20.0]}
    measured = Measured(seconds, sentences=64, steps=40)
    assert measured.speed(OURS) == 32.0 and measured.step(OURS) == 50.0
    assert measured.ratios == [2.0, 1.5, 2.5]
    assert measured.cells() == ["32.0", "12.8", "2.50", "2.00 (1.50 to 2.50)", "3.2", "50.00", "125.00", "500.0"]
    without = measured._replace(seconds={OURS: [2.0], PEER: [4.0]})
    assert without.cells()[4] == without.cells()[7] == "-"
    lines = table({Cell("small", 4, 32): measured}).splitlines()
    assert len(lines) == 3 and len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| small | 4 | 32 | 32.0 | 12.8 |")


def test_sources_are_tokens_without_padding():
    first, second = random_sources(Cell("small", 4, 3), 2, source_len=7, prediction_length=5, seed=1)
    assert first.ids.shape == (3, 7) and first.ids.dtype == np.int32 and first.ids.min() >= FIRST_TOKEN
    assert (first.beam, first.prediction_length) == (4, 5) and (first.ids != second.ids).any()


def test_impossible_arguments_are_refused():
    assert "at least 1" in run_script("benchmarks/decoding_speed.py", "--rounds", 0, code=2).stderr
