"""The training benchmark: both engines get the same sentences, and the figures are computed correctly."""
import collections

import numpy as np
import pytest

from benchmarks.engines.comparison import Measured
from benchmarks.engines.speed_report import details, table
from benchmarks.engines.text import encode, generate, read_pairs
from benchmarks.engines.workload import LONGEST, Size, one_per_row, padding, plan_workload, unpack
from src.common.errors import MassError
from tests.helpers.scripts import run_script

TINY = Size(hidden=8, layers=1, heads=2, intermediate=8, vocabulary=200, positions=256)
STEPS = 7


@pytest.fixture(scope="module", params=[{"tokens": 20}, {"source": 20, "target": 8}], ids=["sentences", "pairs"])
def workload(request):
    return plan_workload(encode(generate(request.param, seed=3), TINY.vocabulary), TINY, STEPS, seed=3)


def _multiset(batches):
    return collections.Counter(tuple(map(bytes, example)) for batch in batches for example in unpack(batch))


def test_both_engines_get_the_same_examples_in_as_many_steps(workload):
    assert len(workload.packed) == len(workload.mixed) == len(workload.grouped) == STEPS
    assert _multiset(workload.packed) == _multiset(workload.mixed) == _multiset(workload.grouped)
    for packed, mixed in zip(workload.packed, workload.mixed, strict=True):
        assert _multiset([packed]) == _multiset([mixed])
        assert packed.tokens == mixed.tokens


def test_the_peer_has_one_example_a_row_padded_to_the_longest(workload):
    for batch in workload.mixed + workload.grouped:
        source, target = batch.source_ids != 0, batch.labels != 0
        assert source.any(axis=0).all() and target.any(axis=0).all()
        assert (np.diff(source.astype(int), axis=1) <= 0).all() and (np.diff(target.astype(int), axis=1) <= 0).all()
        assert batch.source_segments.max() == batch.decoder_segments.max() == 1


def test_grouped_batches_are_equally_large_and_pad_less(workload):
    tokens = [batch.tokens for batch in workload.grouped]
    assert max(tokens) - min(tokens) <= 4 * LONGEST  # one example, of two sides, more or less at either end
    assert padding(workload.grouped) < padding(workload.mixed)


def test_unpacking_undoes_packing(workload):
    examples = unpack(workload.packed[0])
    again = unpack(one_per_row(examples))
    assert [tuple(map(bytes, example)) for example in again] == [tuple(map(bytes, example)) for example in examples]


def test_files_of_pairs_must_be_of_one_length(tmp_path):
    source, target = tmp_path / "source.txt", tmp_path / "target.txt"
    source.write_text("a b\nc\n", encoding="utf-8")
    target.write_text("a\n", encoding="utf-8")
    with pytest.raises(MassError, match="same number of lines"):
        read_pairs(str(source), str(target), seed=1)


def test_the_most_frequent_words_have_ids_and_the_rest_are_unknown(tmp_path):
    source, target = tmp_path / "source.txt", tmp_path / "target.txt"
    source.write_text("often often often sometimes sometimes once\n", encoding="utf-8")
    target.write_text("often\n", encoding="utf-8")
    columns = encode(read_pairs(str(source), str(target), seed=1), vocabulary=7)
    assert columns["source"][0].tolist() == [5, 5, 5, 6, 6, 3, 2]
    assert columns["target"][0].tolist() == [5, 2]


def test_we_are_compared_with_the_best_of_the_peers_layouts_and_formats():
    measured = Measured(tokens=10.0, padding={}, losses={}, memory={"ours": 2**20, "peer": 2**21}, descriptions={},
                        speed={"packed": [30.0, 40.0, 60.0], "grouped float32": [10.0, 10.0, 10.0],
                               "grouped bfloat16": [20.0, 20.0, 20.0], "mixed float32": [40.0, 9.0, 9.0]},
                        first_step=[5.0], processor={"packed": 1e-4, "grouped float32": 3.5e-4})
    assert measured.best == "grouped bfloat16"
    assert measured.ratios == [1.5, 2.0, 3.0]
    assert details("small", "pre-training", measured).endswith("per token packed 100, grouped float32 350")
    row = table({("small", "pre-training"): measured}).splitlines()[-1]
    assert [cell.strip() for cell in row.strip("|").split("|")] == [
        "small", "pre-training", "40", "10", "20", "9", "-", "2.00", "2.00 (1.50 to 3.00)", "1", "2", "5.0", "-", "-"]


def test_impossible_flags_are_usage_errors():
    for flags, message in ((["--rounds", "0"], "at least 1"), (["--source", "only.txt"], "together")):
        assert message in run_script("benchmarks/training_speed.py", *flags, code=2).stderr
