"""The training state: its JSON, and the history of validations."""
import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.checkpoints.training_state import TrainingState
from src.checkpoints.validation_history import BEST_METRICS, ValidationHistory, score_of
from src.common.errors import MassError
from tests.helpers.tiny_training import STATE

TEXT = STATE.to_json(files={"a": {"bytes": 3}})


def test_a_state_comes_back_from_json_to_the_last_bit():
    assert TrainingState.from_json(TEXT) == (STATE, {"files": {"a": {"bytes": 3}}})


@given(st.integers(0, len(TEXT) - 1), st.characters(codec="ascii"))
def test_no_changed_character_goes_unnoticed(place, character):
    """Unless it changes nothing, as one blank more or less between two keys."""
    changed = TEXT[:place] + character + TEXT[place + 1 :]
    try:
        state, more = TrainingState.from_json(changed)
    except MassError:
        return
    assert (state, more) == TrainingState.from_json(TEXT)


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", TEXT[: len(TEXT) // 2], TEXT.replace("{", "[")])
def test_what_is_no_state_is_damaged(text):
    with pytest.raises(MassError, match="damaged"):
        TrainingState.from_json(text)


@given(st.lists(st.sampled_from([0.5, 1.0, 1.5, 2.0, float("nan")]), min_size=1), st.integers(0, 4))
def test_the_best_is_the_first_greatest_and_validations_since_are_counted(figures, patience):
    history, ended = ValidationHistory(), None
    for step, score in enumerate(figures, start=1):
        history = history.after(step, score)
        if history.exhausts(patience) and ended is None:
            ended = step
    numbers = {step: score for step, score in enumerate(figures, start=1) if not math.isnan(score)}
    best = min(numbers, key=lambda step: (-numbers[step], step), default=None)
    assert (history.best_score, history.best_step) == (numbers.get(best), best)
    assert history.count_since_best == len(figures) - (best or 0) and history.last_step == len(figures)
    assert patience or ended is None


def test_patience_is_a_number_of_validations_in_a_row():
    history, course = ValidationHistory(), []
    for step, nll in enumerate([3.0, 2.0, 2.0, 2.5, 1.0, 1.1, 1.2, 1.3], start=1):
        history = history.after(step, score_of({"nll": nll, "rouge-l": nll}, "perplexity"))
        course.append(history.exhausts(3))
    assert course == [False] * 7 + [True]


def test_a_validation_is_judged_by_the_chosen_metric():
    figures = {"nll": 2.5, "rouge-1": 20.0, "rouge-2": 4.0, "rouge-l": 18.0}
    assert {metric: score_of(figures, metric) for metric in BEST_METRICS} == {
        "perplexity": -2.5, "rouge-1": 20.0, "rouge-2": 4.0, "rouge-l": 18.0}
    assert score_of({"nll": 2.5}, "rouge-1") is None


def test_the_history_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ValidationHistory().best_step = 3
