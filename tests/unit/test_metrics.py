"""The registry of metrics: what a metric declares is all that the command lines, evaluation and report need."""
import dataclasses
import json
import math
from argparse import ArgumentParser

import numpy as np
import pytest

from src.common.errors import UsageError
from src.common.json_output import json_text
from src.inference.command_line import add_flags, run_evaluation
from src.inference.evaluation.metrics import DEFAULT_METRIC, METRICS
from src.inference.evaluation.metrics.metric import Flag, Metric, mean_over_sentences
from src.inference.evaluation.metrics.rouge import Rouge
from src.inference.evaluation.signature import search_signature
from src.launcher.launcher import launch
from src.transformer.decoding.options import Sampling, SearchOptions
from src.utils.dictionary import Dictionary
from tests.helpers.paths import ROOT
from tests.helpers.scripts import run_python
from tests.helpers.tiny_model import TEXT, make_model_folder


class WordsFound(Metric):
    """How many different words of a reference occur in the prediction, in percent or as a number."""

    name = "found"
    description = "words of the reference in the prediction, in %"
    searches = True
    needs_pairs = True
    default_output = "found.jsonl"
    scores_label = "% of words"
    sentence_label = "words found"
    flags = (Flag("--found-unit", "unit", ("percent", "number"), "percent", "the unit of the score"),)

    def __init__(self, unit="percent"):
        self.unit = unit

    def measure(self, entries):
        sides = [[set(entry[name].split()) for name in ("target", "prediction")] for entry in entries]
        found = np.array([[len(target & prediction)] for target, prediction in sides], np.float64)
        words = np.array([[len(target)] for target, _ in sides])
        return mean_over_sentences(("words",), found if self.unit == "number" else 100 * found / words)

    def signature(self):
        return f"words found as {self.unit}"


@pytest.fixture
def with_new_metric(monkeypatch):
    monkeypatch.setitem(METRICS, WordsFound.name, WordsFound)


def run_eval(*arguments):
    parser = ArgumentParser()
    add_flags(parser)
    run_evaluation(parser.parse_args(list(map(str, arguments))))


BEAM, SAMPLES = SearchOptions(9), SearchOptions(9, n_best=3, sampling=Sampling())
COMMON = {"max_length": 8, "min_length": 2, "no_repeat_ngram_size": 2, "ban_unk": True, "attention": True,
          "length_penalty_weight": 0.5}


@pytest.mark.parametrize(("search", "changes"), [
    (BEAM, {**COMMON, "beam_width": 2, "sampling": Sampling()}),
    (SAMPLES, {**COMMON, "n_best": 2, "sampling": Sampling(top_k=5)})])
def test_every_option_that_can_change_a_score_changes_its_signature(search, changes):
    def signature(options):
        return search_signature(Rouge(), options, "auto", Dictionary.from_counts({"a": 1}), False)

    without_effect = {"n_best"} if search is BEAM else {"beam_width"}  # on the best prediction of each sentence
    assert changes.keys() | without_effect == {field.name for field in dataclasses.fields(SearchOptions)}
    found = [signature(dataclasses.replace(search, **{name: value})) for name, value in changes.items()]
    assert len({signature(search), *found}) == 1 + len(changes)


def test_the_names_are_known_without_mindspore():
    """The launcher and --help list the metrics, so they must not wait for an import of several seconds."""
    code = "import sys; from src.inference.evaluation.metrics import METRICS; print(*METRICS, *sys.modules)"
    names = run_python(code).stdout.split()
    assert names[:2] == ["rouge", "ppl"] and "numpy" in names and "mindspore" not in names


def test_every_metric_is_complete():
    for name, metric in METRICS.items():
        assert metric.name == name and metric.description and metric.default_output.endswith(".jsonl")
        assert metric.scores_label and metric.sentence_label and metric.searches in (True, False)
        assert metric.needs_pairs or not metric.searches
    assert METRICS[DEFAULT_METRIC] is Rouge


def test_a_new_metric_needs_no_other_change(with_new_metric, tmp_path, capsys):
    make_model_folder(tmp_path)
    (tmp_path / "in.txt").write_text("\n".join(TEXT) + "\n")
    data = ["--ckpt", tmp_path, "--input", tmp_path / "in.txt", "--targets", tmp_path / "in.txt"]
    run_eval(*data, "--output", tmp_path / "rouge.jsonl")
    run_eval(*data, "--output", tmp_path / "found.jsonl", "--metric", "found", "--found-unit", "number", "--confidence",
             "--report", tmp_path / "page.md")
    entries = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    scores = [len(set(entry["target"].split()) & set(entry["prediction"].split())) for entry in entries]
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["found"] == {"words": pytest.approx(np.mean(scores))}
    low, high = metrics["found_interval"]["words"]
    assert min(scores) <= low <= np.mean(scores) <= high <= max(scores)
    assert metrics["found_signature"].startswith("words found as number, beam 3")
    assert metrics["rouge"].keys() == {"rouge-1", "rouge-2", "rouge-l"} and metrics["signature"].startswith("rouge ")
    printed = capsys.readouterr().out
    assert f"found words: {np.mean(scores):.2f} (95% interval" in printed and metrics["found_signature"] in printed
    page = (tmp_path / "page.md").read_text()
    assert "Best predictions, by words found" in page and "% of words" in page


def test_predictions_are_written_before_anything_is_scored(with_new_metric, tmp_path, monkeypatch):
    def fail(self, entries):
        raise RecursionError

    monkeypatch.setattr(WordsFound, "measure", fail)
    make_model_folder(tmp_path)
    (tmp_path / "in.txt").write_text("\n".join(TEXT) + "\n")
    with pytest.raises(RecursionError):
        run_eval("--ckpt", tmp_path, "--input", tmp_path / "in.txt", "--targets", tmp_path / "in.txt", "--metric",
                 "found", "--output", tmp_path / "found.jsonl")
    assert len((tmp_path / "found.jsonl").read_text().splitlines()) == len(TEXT)
    assert not (tmp_path / "metrics.json").exists()


def test_figures_that_are_not_finite_are_null(with_new_metric, tmp_path, monkeypatch, capsys):
    def measure(self, entries):
        return mean_over_sentences(("words",), np.full((len(entries), 1), np.inf))

    monkeypatch.setattr(WordsFound, "measure", measure)
    make_model_folder(tmp_path)
    (tmp_path / "in.txt").write_text("\n".join(TEXT) + "\n")
    run_eval("--ckpt", tmp_path, "--input", tmp_path / "in.txt", "--targets", tmp_path / "in.txt", "--metric", "found",
             "--output", tmp_path / "found.jsonl", "--confidence")
    content = (tmp_path / "metrics.json").read_text()
    metrics = json.loads(content, parse_constant=pytest.fail)
    assert metrics["found"] == {"words": None} and metrics["found_interval"] == {"words": [None, None]}
    assert "found is not finite (null in metrics.json)" in capsys.readouterr().err


def test_json_has_null_for_numbers_without_a_form():
    content = {"a": [1.5, math.nan, (math.inf, "NaN")], "b": {"c": -math.inf, "d": None, "e": True}}
    assert json.loads(json_text(content)) == {"a": [1.5, None, [None, "NaN"]], "b": {"c": None, "d": None, "e": True}}


def test_scores_of_other_options_are_not_replaced(with_new_metric, tmp_path):
    make_model_folder(tmp_path)
    (tmp_path / "in.txt").write_text("\n".join(TEXT) + "\n")
    data = ["--ckpt", tmp_path, "--input", tmp_path / "in.txt", "--targets", tmp_path / "in.txt", "--metric", "found"]
    run_eval(*data, "--output", tmp_path / "percent.jsonl")
    with pytest.raises(UsageError, match="holds other scores .different: found_signature"):
        run_eval(*data, "--output", tmp_path / "number.jsonl", "--found-unit", "number")
    assert "search in" in json.loads((tmp_path / "metrics.json").read_text())["computation"]
    with pytest.raises(UsageError, match="holds other scores .different: test_digest"):  # of truncated text
        run_eval(*data, "--output", tmp_path / "short.jsonl", "--set", "model_config.seq_length=3")


def test_flags_of_another_metric_are_refused(with_new_metric):
    with pytest.raises(UsageError, match="--found-unit is for --metric found"):
        run_eval("--ckpt", "x", "--output", "x.jsonl", "--found-unit", "number")
    with pytest.raises(UsageError, match="--rouge is for --metric rouge"):
        run_eval("--ckpt", "x", "--output", "x.jsonl", "--metric", "found", "--rouge", "rouge-score")


def test_the_launcher_offers_the_metrics_that_it_is_given(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("c.json", "v.bin"):
        (tmp_path / name).write_text("{}")
    arguments = ["-t", "i", "-c", "c.json", "-v", "v.bin", "--dry_run"]
    outputs = {"found": "found.jsonl", "rouge": "predictions.jsonl"}
    for chosen, name in (([], "found"), (["-m", "rouge"], "rouge")):
        assert launch("CPU", [*arguments, *chosen], str(ROOT), outputs) == 0
        printed = capsys.readouterr().out
        assert f"--metric {name} " in printed and f"infer_mass_cpu/{outputs[name]}" in printed
