"""Registries implement exactly the choices of their configuration keys."""
import dataclasses

import pytest

from config.config import Config, DatasetConfig, LearnRateConfig, LossScaleConfig, key
from config.registry import registry
from src.language_model import FRAGMENT_LANGUAGE_MODELS
from src.training.loss_scale import LOSS_SCALES
from src.training.optimizer import OPTIMIZERS
from src.utils.lr_scheduler import SCHEDULES, learning_rate


@dataclasses.dataclass(frozen=True)
class Node:
    """A configuration node for these tests."""

    course: str = key("flat", "a key with choices", choices=("flat", "steep"))


def test_a_registry_is_the_dictionary_that_it_was_made_from():
    assert registry(Node, "course", {"flat": 1, "steep": 2}) == {"flat": 1, "steep": 2}


def test_a_choice_without_implementation_is_an_error():
    with pytest.raises(TypeError, match="Node.course allows 'steep'"):
        registry(Node, "course", {"flat": 1})


def test_an_implementation_that_is_no_choice_is_an_error():
    with pytest.raises(TypeError, match="'round' is implemented, but is not among the choices of Node.course"):
        registry(Node, "course", {"flat": 1, "steep": 2, "round": 3})


def choices_of(node, name):
    (choices,) = (entry.metadata["choices"] for entry in dataclasses.fields(node) if entry.name == name)
    return set(choices)


def test_the_implementations_are_those_of_the_configuration():
    assert set(FRAGMENT_LANGUAGE_MODELS) == choices_of(DatasetConfig, "language_model")
    assert set(SCHEDULES) == choices_of(LearnRateConfig, "lr_scheduler")
    assert set(OPTIMIZERS) == choices_of(LearnRateConfig, "optimizer")
    assert set(LOSS_SCALES) == choices_of(LossScaleConfig, "loss_scale_mode")


def test_an_unknown_schedule_is_never_replaced_by_another():
    with pytest.raises(KeyError, match="flat"):
        learning_rate(10**6, LearnRateConfig(lr_scheduler="flat"))


def test_each_key_says_whether_it_may_change_when_a_run_is_resumed():
    found = {entry.metadata["resume"] for node in dataclasses.fields(Config)
             for entry in dataclasses.fields(node.default_factory)}
    assert found == {"fixed", "may change"}
