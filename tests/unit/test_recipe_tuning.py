"""The choice of settings of the search on validation pairs."""
import json
from pathlib import Path

import pytest

from config.config import ModelConfig
from recipes.pipeline import Options, Pipeline
from recipes.recipe import Recipe
from recipes.steps import Step, Steps
from recipes.tuning import best_value, values_to_try


class ScoredSteps(Steps):
    """Steps that run nothing: each evaluation leaves the ROUGE-2 that `score` gives for its settings."""

    def __init__(self, folder: str, score):
        super().__init__(folder, dry_run=False)
        self.score, self.names = score, []

    def run(self, step: Step) -> None:
        settings = dict(word.removeprefix("model_config.").split("=") for word in step.command
                        if word.startswith("model_config."))
        self.names.append(step.name)
        Path(step.output).mkdir(parents=True)
        scores = {"rouge": {"rouge-2": self.score({key: float(value) for key, value in settings.items()})}}
        (Path(step.output) / "metrics.json").write_text(json.dumps(scores))


def tune(folder: Path, score, **values) -> tuple[list[str], list[str]]:
    """Return the settings that were chosen, and the names of the steps."""
    recipe = Recipe("own", "", "config/news_small.json", "config/cornell_small.json", 10, 1, 64, 64,
                    search_values=values)
    steps = ScoredSteps(str(folder), score)
    return Pipeline(recipe, Options(str(folder)), steps).tune("mass"), steps.names


def test_each_setting_is_chosen_with_those_before_it(tmp_path):
    def score(settings):  # without the penalty of 2, the longer minimum would be worse
        penalty, length = settings["length_penalty_weight"], settings.get("min_decode_length", 1)
        return 10 * penalty + (length if penalty == 2 else -length)

    chosen, names = tune(tmp_path, score, length_penalty_weight=(0.5, 2.0), min_decode_length=(1, 6, 9))
    assert chosen == ["model_config.length_penalty_weight=2.0", "model_config.min_decode_length=9"]
    assert names == [f"tune_mass_{name}" for name in (  # with the usual minimum the score is known
        "length_penalty_weight_1", "length_penalty_weight_0.5", "length_penalty_weight_2", "min_decode_length_6",
        "min_decode_length_9")]


def test_the_usual_value_stays_if_no_other_is_better(tmp_path):
    chosen, _ = tune(tmp_path, lambda settings: 5.0, length_penalty_weight=(0.5, 2.0), no_repeat_ngram_size=(3,))
    assert chosen == ["model_config.length_penalty_weight=1.0", "model_config.no_repeat_ngram_size=0"]


def test_nothing_is_tuned_without_values(tmp_path):
    assert tune(tmp_path, pytest.fail) == ([], [])


def test_values_that_contradict_the_configuration_are_not_tried():
    model = ModelConfig(max_decode_length=8)
    assert values_to_try("min_decode_length", model, (6, 8, 9)) == [1, 6, 8]
    assert values_to_try("length_penalty_weight", model, (0.5, 1.0, 9.0)) == [1.0, 0.5, 9.0]


def test_the_scores_of_all_values_are_printed(tmp_path, capsys):
    outputs = {}
    for value, score in ((1.0, 20.0), (1.5, 21.5)):
        outputs[value] = str(tmp_path / str(value))
        Path(outputs[value]).mkdir()
        (Path(outputs[value]) / "metrics.json").write_text(json.dumps({"rouge": {"rouge-2": score}}))
    assert best_value("mass", "length_penalty_weight", outputs) == 1.5
    assert "length_penalty_weight of mass by ROUGE-2 on the validation pairs: 1.5 (1: 20.00, 1.5: 21.50)" in \
        capsys.readouterr().out
