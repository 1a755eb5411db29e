"""The report of a recipe: figures from the outputs of training and evaluation, and the verdict on them."""
import json
import math

import pytest

from recipes import results
from recipes.objectives import OBJECTIVES, collect, draw, table
from recipes.publish import summary_of, thinned
from recipes.register import RECIPES
from recipes.report import make_report
from src.common.errors import MassError
from src.common.json_files import write_json

ROUGE = {"rouge-1": 30.0, "rouge-2": 10.0, "rouge-l": 25.0}
MODELS = {"mass": ["mass"], "scratch": ["scratch"]}
RECIPE = RECIPES["own"]
INFO = {"kind": "pairs", "kept": 20, "tokens": {"source": 100, "target": 60}}


def write_json_lines(path, objects):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(item) + "\n" for item in objects))


def write_model(folder, name, ppl, rouge_1=30.0, kind="mass", signature="rouge, beam 4"):
    """Write what train.py and eval.py leave of one fine-tuned model that was scored on 20 test pairs."""
    history = [{"event": "train", "step": 5, "nll": 4.0, "seconds": 1.0},
               {"event": "valid", "step": 5, "nll": 3.5, "ppl": 33.0, "seconds": 2.0, "best": True},
               {"event": "valid", "step": 9, "nll": 3.6, "ppl": 36.0, "seconds": 3.0, "best": False}]
    write_json_lines(folder / f"finetune_{name}" / "metrics.jsonl", history)
    write_json_lines(folder / f"finetune_{name}" / "config.json", [{"model_config": {"hidden_size": 64}}])
    write_json_lines(folder / "pretrain" / "metrics.jsonl", history)
    predictions = [{"source": f"the source number {i} has more than ten words in it .", "target": f"source {i}",
                    "prediction": f"{kind} {i}", "score": -1.0} for i in range(20)]
    scores = folder / "scores"
    write_json_lines(scores / f"{name}_rouge/predictions.jsonl", predictions)
    write_json_lines(scores / f"{name}_rouge/metrics.json",
                     [{"rouge": {**ROUGE, "rouge-1": rouge_1}, "signature": signature, "rouge_interval": None}])
    write_json_lines(scores / f"{name}_ppl/metrics.json", [{"ppl": {"subword": ppl, "word": 99.0}}])


@pytest.fixture
def run_folder(tmp_path):
    """A folder with the outputs of a recipe."""
    write_model(tmp_path, "mass", 50.0)
    write_model(tmp_path, "scratch", 80.0, kind="scratch")
    for part, split in (("pretrain", "pretrain"), ("pairs", "train"), ("pairs", "test")):
        write_json_lines(tmp_path / "records" / part / f"{split}.tfrecord.json", [{**INFO, "split": split}])
    return tmp_path


def test_objectives_are_collected_and_drawn(tmp_path):
    names = [objective.model for objective in OBJECTIVES]
    for number, name in enumerate(names):
        write_model(tmp_path, name, 50.0 + number)
    found = collect(str(tmp_path))
    assert [entry["ppl"]["subword"] for entry in found.values()] == [50.0 + number for number in range(len(names))]
    assert found["none"]["ratio"] is None and found["mass_30"]["ratio"] == 0.3
    assert found["loose_50"]["language_model"] == "loose"
    lines = table(found)
    assert lines[1].split()[:2] == ["none", "50.0"] and len(lines) == 1 + len(names)
    draw(found, str(tmp_path / "picture.png"))
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_published_holds_figures_and_commands_and_no_text(run_folder, capsys):
    make_report(RECIPE, str(run_folder), MODELS, [["text.py", "--flag", "a b", "/home/u/news", "k=/home/u v/x.txt,/b/c",
                                                   "../run/y"]])
    published = summary_of(str(run_folder))
    assert published["commands"] == ["text.py --flag 'a b' news k=x.txt,c ../run/y"]
    assert published["models"]["mass"]["ppl"]["subword"] == 50.0
    assert [entry["event"] for entry in published["histories"]["pretrain"]] == ["train", "valid", "valid"]
    assert "the source number" not in json.dumps(published)


@pytest.mark.parametrize("content", ["{", "[]", '{"recipe": "own"}'])
def test_results_of_something_else_are_refused(tmp_path, content):
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(MassError, match="results.json is not the file that a recipe writes"):
        summary_of(str(tmp_path))


def test_data_of_another_pretraining_are_not_reported(run_folder):
    """The folder has pre-trained itself, and then took over the weights of another run."""
    (run_folder / "steps").mkdir()
    note = {"identity": {}, "outputs": [], "resumable": False, "output": [["x", 1, 1]]}
    write_json(str(run_folder / "steps" / "reuse.json"), note, checksum=True)
    assert set(results.collect_results(RECIPE, str(run_folder), MODELS)["data"]) == {"pairs_train", "pairs_test"}


def test_a_long_history_is_thinned():
    history = [{"event": "train", "step": step, "loss": 1.23456789, "checksum": 1} for step in range(1, 1001)]
    history.insert(500, {"event": "valid", "step": 500, "ppl": 30.0, "best": True})
    kept = thinned(history)
    assert len(kept) == 41 and kept[-1] == {"event": "train", "step": 1000, "loss": 1.2346}
    assert {"event": "valid", "step": 500, "ppl": 30.0, "best": True} in kept


def test_report_collects_prints_and_plots(run_folder, capsys):
    make_report(RECIPE, str(run_folder), MODELS, [])
    found = json.loads((run_folder / "results.json").read_text())
    assert found["models"]["mass"]["ppl"] == {"subword": 50.0, "word": 99.0}
    assert found["models"]["mass"]["rouge"] == ROUGE and found["models"]["mass"]["ppl_deviation"] is None
    assert found["test_pairs"] == 20 and found["model"]["hidden_size"] == 64
    assert found["data"] == dict.fromkeys(
        ("pretrain", "pairs_train", "pairs_test"), {"examples": 20, "tokens": 160})
    assert found["training"]["pretrain"] == {"steps": 9, "seconds": 3.0, "best_valid_ppl": 33.0, "best_step": 5}
    assert [example["reference"] for example in found["examples"]] == [f"source {i}" for i in (2, 6, 10, 14, 18)]
    assert found["examples"][0]["scratch"] == "scratch 2"
    assert found["lead_baseline"]["rouge"]["rouge-1"] == pytest.approx(100 * 2 * 0.2 / 1.2)  # 2 of 10 words, 2 of 2
    assert (run_folder / "loss_curves.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert "MASS pre-trained         50.0     99.0" in printed and "Example 5 of 5" in printed
    assert "first 10 words" in printed and printed.count("rouge, beam 4") == 1


def test_searches_that_differ_are_both_printed(run_folder, capsys):
    write_model(run_folder, "scratch", 80.0, kind="scratch", signature="rouge, beam 4, at least 9 tokens")
    make_report(RECIPE, str(run_folder), MODELS, [])
    lines = capsys.readouterr().out.splitlines()
    assert "MASS pre-trained: rouge, beam 4" in lines and "from scratch: rouge, beam 4, at least 9 tokens" in lines


def test_several_seeds_are_averaged(run_folder, capsys):
    models = {"mass": [], "scratch": []}
    for seed, shift in ((1, -2.0), (2, 0.0), (3, 2.0)):
        for start, ppl in (("mass", 50.0), ("scratch", 80.0)):
            models[start].append(f"{start}_seed{seed}")
            write_model(run_folder, f"{start}_seed{seed}", ppl + shift, 30.0 - shift, kind=start)
    make_report(RECIPE, str(run_folder), models, [])
    mass = json.loads((run_folder / "results.json").read_text())["models"]["mass"]
    assert mass["ppl"]["subword"] == 50.0 and mass["ppl_deviation"]["subword"] == 2.0
    assert mass["rouge"]["rouge-1"] == 30.0 and mass["rouge_deviation"]["rouge-1"] == 2.0
    assert mass["runs"]["mass_seed3"]["ppl"]["subword"] == 52.0
    assert "(sd, 3 seeds)" in capsys.readouterr().out


def test_a_recipe_without_a_copy_baseline_has_no_such_row(run_folder, capsys):
    make_report(RECIPES["cornell"], str(run_folder), MODELS, [])
    assert json.loads((run_folder / "results.json").read_text())["lead_baseline"] is None
    assert "first" not in capsys.readouterr().out.split("Test split")[1]


def test_models_scored_on_different_test_sets_are_rejected(run_folder):
    write_json_lines(run_folder / "scores/scratch_rouge/predictions.jsonl", [{"source": "a", "target": "b"}])
    with pytest.raises(MassError, match="different test sets"):
        results.collect_results(RECIPE, str(run_folder), MODELS)


def test_a_missing_result_is_reported(run_folder):
    (run_folder / "scores/mass_ppl/metrics.json").unlink()
    with pytest.raises(MassError, match="mass_ppl/metrics.json"):
        results.collect_results(RECIPE, str(run_folder), MODELS)


def test_a_deviation_over_a_perplexity_that_is_not_finite_is_no_number():
    runs = {name: {"ppl": {"subword": value}, "rouge": ROUGE} for name, value in (("a", math.nan), ("b", 2.0))}
    combined = results.combine(runs)
    assert math.isnan(combined["ppl_deviation"]["subword"]) and combined["rouge_deviation"]["rouge-1"] == 0.0


def test_a_perplexity_that_is_not_finite_is_no_number(run_folder):
    write_json_lines(run_folder / "scores/mass_ppl/metrics.json", [{"ppl": {"subword": None, "word": None}}])
    found = results.collect_results(RECIPE, str(run_folder), MODELS)
    assert math.isnan(found["models"]["mass"]["ppl"]["subword"])


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
    lines = results.verdict(mass, {"ppl": {"subword": 80.0}, "rouge": ROUGE})
    assert len(lines) == len(expected)
    assert all(part in line for part, line in zip(expected, lines, strict=True))
