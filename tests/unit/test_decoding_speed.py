"""The benchmark of the search: its figures, its workload and its command line."""

import numpy as np

from benchmarks.engines.search_report import CTRANSLATE2, GENERATE, NO_CACHE, OURS, Measured, Search, tables
from benchmarks.engines.search_workload import FIRST_TOKEN, Cell, random_sources
from tests.helpers.scripts import run_script


def test_figures_are_medians_of_rounds():
    ours, int8, peer = Search(OURS), Search(OURS, "int8"), Search(GENERATE)
    fast, slow, no_cache = Search(CTRANSLATE2, "int8"), Search(CTRANSLATE2), Search(NO_CACHE)
    seconds = {ours: [2.0, 4.0, 2.0], int8: [1.0, 1.0, 1.0], peer: [4.0, 6.0, 5.0], fast: [2.0, 2.0, 1.0],
               slow: [3.0, 3.0, 3.0], no_cache: [20.0]}
    measured = Measured(seconds, sentences=64, steps=40)
    assert measured.speed(ours) == 32.0 and measured.step(ours) == 50.0
    assert measured.ratios(ours, peer) == [2.0, 1.5, 2.5]
    assert measured.best(CTRANSLATE2) == fast and measured.best(OURS) == int8
    speed, step, ratio = tables({Cell("small", 4, 32): measured}).split("\n\n| ")[1:]
    assert speed.splitlines()[0] == "size | beam | batch | ours float32 | ours int8 | generate | CTranslate2 int8 | " \
                                    "CTranslate2 float32 | no cache |"
    assert speed.splitlines()[2] == "| small | 4 | 32 | 32.0 | 64.0 | 12.8 | 32.0 | 21.3 | 3.2 |"
    assert step.splitlines()[2] == "| small | 4 | 32 | 50.00 | 25.00 | 125.00 | 50.00 | 75.00 | 500.00 |"
    assert ratio.splitlines()[0].endswith("| ours int8 / generate | ours int8 / CTranslate2, best |")
    assert ratio.splitlines()[2] == "| small | 4 | 32 | 2.00 (1.50 to 2.50) | 0.50 (0.50 to 1.00) | " \
                                    "5.00 (4.00 to 6.00) | 2.00 (1.00 to 2.00) |"


def test_searches_that_were_not_measured_have_no_figures():
    only = Measured({Search(OURS): [1.0], Search(GENERATE): [2.0]}, sentences=8, steps=4)
    more = Measured({**only.seconds, Search(NO_CACHE): [4.0]}, sentences=8, steps=4)
    text = tables({Cell("small", 4, 1): more, Cell("small", 1, 1): only})
    assert "| small | 1 | 1 | 8.0 | 4.0 | - |" in text and "CTranslate2" not in text
    assert only.best(CTRANSLATE2) is None


def test_sources_are_tokens_without_padding():
    first, second = random_sources(Cell("small", 4, 3), 2, source_len=7, prediction_length=5, seed=1)
    assert first.ids.shape == (3, 7) and first.ids.dtype == np.int32 and first.ids.min() >= FIRST_TOKEN
    assert (first.beam, first.prediction_length) == (4, 5) and (first.ids != second.ids).any()


def test_impossible_arguments_are_refused():
    assert "at least 1" in run_script("benchmarks/decoding_speed.py", "--rounds", 0, code=2).stderr
