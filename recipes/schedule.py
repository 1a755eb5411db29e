"""Lengths of trainings that fit into a given time."""
import json
import os
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from config.config import Config
from config.loading import load_config
from recipes.recipe import Recipe
from src.common.errors import MassError
from src.utils.monitoring.metrics_file import TRAINING_METRICS_FILE, read_metrics

PROBE_STEPS, PROBE_FIRST = 30, 10  # steps of a trial run, and of its beginning, which is not counted
MIN_STEPS = 20
PROBE_SETTINGS = (f"training_config.max_steps={PROBE_STEPS}", f"training_config.log_steps={PROBE_FIRST}",
                  f"training_config.valid_steps={PROBE_FIRST}", f"checkpoint_options.save_ckpt_steps={PROBE_STEPS}")


class PlannedTraining(NamedTuple):
    """A training as its configuration plans it, and a trial run of it that measured its speed."""

    config: Config
    probe_folder: str
    runs: int  # how often it will be done

    @property
    def seconds(self) -> float:
        """The time that the steps of all runs would take."""
        return self.config.training_config.max_steps * speed_of(self.probe_folder).step * self.runs

    @property
    def validation_seconds(self) -> float:
        """The time that their validations would take, apart from those at the ends of epochs."""
        training = self.config.training_config
        count = training.max_steps // training.valid_steps if training.valid_steps else 0
        return count * speed_of(self.probe_folder).validation * self.runs


class Speed(NamedTuple):
    """The seconds that a step and a validation of a trial run took."""

    step: float
    validation: float


def speed_of(folder: str) -> Speed:
    """Return the speed of a trial run with PROBE_SETTINGS, without its first steps and its first validation.

    Raises:
        MassError: the run was too short to tell.
    """
    ends: dict[str, dict[int, float]] = {"train": {}, "valid": {}}
    for entry in read_metrics(os.path.join(folder, TRAINING_METRICS_FILE)):
        ends.setdefault(entry["event"], {})[entry["step"]] = entry["seconds"]
    trained, validated = ends["train"], ends["valid"]
    if not {PROBE_FIRST, PROBE_STEPS} <= trained.keys() & validated.keys():
        raise MassError(f"{folder}: the trial run ended after {max(trained, default=0)} steps, too few to measure its "
                        f"speed")
    # A report is made before the validation of the same step.
    later = range(2 * PROBE_FIRST, PROBE_STEPS + 1, PROBE_FIRST)
    return Speed(statistics.fmean((trained[step] - validated[step - PROBE_FIRST]) / PROBE_FIRST for step in later),
                 validated[PROBE_STEPS] - trained[PROBE_STEPS])


def shorten(trainings: Sequence[PlannedTraining], minutes: float) -> list[list[str]]:
    """Return, for each training, settings (node.key=value) with which all of them take about `minutes` together.

    All lengths are multiplied by the same factor: the steps, the warm-up, the beginning of the decay, and the distances
    of validations (so that there are as many as before) and checkpoints; a decay by `poly` ends with the training.

    Raises:
        MassError: the time is too short for any training.
    """
    rest = 60.0 * minutes - sum(training.validation_seconds for training in trainings)
    factor = max(0.0, rest) / sum(training.seconds for training in trainings)
    try:
        return [scaled_settings(training.config, factor) for training in trainings]
    except MassError as error:
        raise MassError(f"--minutes {minutes:g} is too short: {error}") from error


def scaled_settings(config: Config, factor: float) -> list[str]:
    """Return the settings of a training whose length is multiplied by `factor`."""
    training, rate = config.training_config, config.learn_rate_config

    def scaled(value: int) -> int:
        return max(1, round(value * factor)) if value else 0

    steps = scaled(training.max_steps)
    if steps < MIN_STEPS:
        raise MassError(f"{steps} of {training.max_steps:,} steps are too few: a training needs at least {MIN_STEPS}")
    warmup = min(scaled(rate.warmup_steps), steps // 4)
    values = {"training_config.max_steps": steps, "training_config.valid_steps": scaled(training.valid_steps),
              "learn_rate_config.warmup_steps": warmup, "learn_rate_config.decay_steps": steps - warmup,
              "learn_rate_config.decay_start_step": scaled(rate.decay_start_step),
              "checkpoint_options.save_ckpt_steps": scaled(config.checkpoint_options.save_ckpt_steps)}
    return [f"{name}={json.dumps(value)}" for name, value in values.items()]


def require_settings(recipe: Recipe, pretrain: Sequence[str], finetune: Sequence[str]) -> None:
    """Raise an error for a mistake in the settings of a recipe's trainings, before anything is made."""
    load_planned(recipe.pretrain_config, pretrain)
    load_planned(recipe.finetune_config, [*recipe.finetune_settings, *finetune])


def load_planned(config: str, settings: Sequence[str]) -> Config:
    """Return a configuration with settings; its length must be given in steps.

    Raises:
        MassError: max_steps is 0.
    """
    loaded = load_config(config, settings)
    if not loaded.training_config.max_steps:
        raise MassError(f"{config}: training_config.max_steps is 0; a recipe needs a number of steps")
    return loaded
