"""The report of the quick start: figures from the outputs of training and evaluation, and the verdict on them."""
import json
import sys

import pytest

from quickstart import report
from src.common.errors import MassError

ROUGE = {"rouge-1": 30.0, "rouge-2": 10.0, "rouge-l": 25.0}


def write_json_lines(path, objects):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(item) + "\n" for item in objects))


@pytest.fixture
def run_folder(tmp_path):
    """A folder with outputs of train.py and eval.py for 20 test pairs."""
    history = [{"event": "train", "step": 5, "nll": 4.0, "seconds": 1.0},
               {"event": "valid", "step": 5, "nll": 3.5, "ppl": 33.0, "seconds": 2.0},
               {"event": "valid", "step": 9, "nll": 3.6, "ppl": 36.0, "seconds": 3.0}]
    for name in report.TRAININGS:
        write_json_lines(tmp_path / name / "metrics.jsonl", history)
    for model, ppl in (("mass", 50.0), ("scratch", 80.0)):
        predictions = [{"source": f"the source number {i} has more than ten words in it .", "target": f"source {i}",
                        "prediction": f"{model} {i}", "score": -1.0} for i in range(20)]
        scores = tmp_path / "scores"
        write_json_lines(scores / f"{model}_rouge/predictions.jsonl", predictions)
        write_json_lines(scores / f"{model}_rouge/metrics.json", [{"rouge": ROUGE, "signature": "s"}])
        write_json_lines(scores / f"{model}_ppl/metrics.json", [{"ppl": {"subword": ppl, "word": 99.0}}])
    return tmp_path


def test_report_collects_prints_and_plots(run_folder, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["report", "--run_folder", str(run_folder)])
    report.main()
    results = json.loads((run_folder / "results.json").read_text())
    assert results["models"]["mass"] == {"ppl": {"subword": 50.0, "word": 99.0}, "rouge": ROUGE}
    assert results["test_pairs"] == 20
    assert results["training"]["pretrain"] == {"steps": 9, "seconds": 3.0, "best_valid_ppl": 33.0}
    assert [example["reference"] for example in results["examples"]] == [f"source {i}" for i in (2, 6, 10, 14, 18)]
    assert results["examples"][0]["scratch"] == "scratch 2"
    assert results["lead_baseline"]["rouge"]["rouge-1"] == pytest.approx(100 * 2 * 0.2 / 1.2)  # 2 of 10 words, 2 of 2
    assert (run_folder / "loss_curves.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert "MASS pre-trained         50.0     99.0" in printed and "Example 5 of 5" in printed


def test_models_scored_on_different_test_sets_are_rejected(run_folder):
    write_json_lines(run_folder / "scores/scratch_rouge/predictions.jsonl", [{"source": "a", "target": "b"}])
    with pytest.raises(MassError, match="different test sets"):
        report.collect_results(str(run_folder))


def test_a_missing_result_is_reported(run_folder):
    (run_folder / "scores/mass_ppl/metrics.json").unlink()
    with pytest.raises(MassError, match="mass_ppl/metrics.json"):
        report.collect_results(str(run_folder))


@pytest.mark.parametrize(("ppl", "rouge_1", "rouge_2", "expected"), [
    (50.0, 31.0, 11.0, ["'MASS pre-trained' is better, 50.0 against 80.0", "'MASS pre-trained' is better on rouge-1"]),
    (99.0, 31.0, 11.0, ["'from scratch' is better, 80.0 against 99.0", "is better on rouge-1", "DISAGREE"]),
    (50.0, 29.0, 9.0, ["'MASS pre-trained' is better", "'from scratch' is better on rouge-1, rouge-2", "DISAGREE"]),
    (50.0, 31.0, 9.0, ["'MASS pre-trained' is better",
                       "no clear result ('MASS pre-trained' is better on rouge-1 only)"]),
    (50.0, 30.0, 10.0, ["'MASS pre-trained' is better", "no clear result (they are equal)"]),
])
def test_verdict(ppl, rouge_1, rouge_2, expected):
    mass = {"ppl": {"subword": ppl}, "rouge": {**ROUGE, "rouge-1": rouge_1, "rouge-2": rouge_2}}
    lines = report.verdict(mass, {"ppl": {"subword": 80.0}, "rouge": ROUGE})
    assert len(lines) == len(expected)
    assert all(part in line for part, line in zip(expected, lines, strict=True))
