"""Lengths of trainings that fit into a given time."""
import json
import math
import os
from collections.abc import Sequence
from typing import NamedTuple

from config.config import Config
from config.loading import load_config
from recipes.recipe import Recipe
from src.common.errors import MassError
from src.utils.monitoring.metrics_file import TRAINING_METRICS_FILE, read_metrics

PROBE_STEPS, PROBE_REPORT = 30, 10  # steps of a trial run, and between its reports and validations
MIN_STEPS = 20
VALIDATION_SHARE = 0.25  # of the time, at most
PROBE_SETTINGS = (f"training_config.max_steps={PROBE_STEPS}", f"training_config.log_steps={PROBE_REPORT}",
                  f"training_config.valid_steps={PROBE_REPORT}", "training_config.patience=0",
                  f"checkpoint_options.save_ckpt_steps={PROBE_STEPS}")


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
        count = math.ceil(training.max_steps / training.valid_steps) if training.valid_steps else 1
        return count * speed_of(self.probe_folder).validation * self.runs


class Speed(NamedTuple):
    """The seconds that a step and a validation of a trial run took."""

    step: float
    validation: float  # 0 without validation data


def speed_of(folder: str) -> Speed:
    """Return the speed of a trial run with PROBE_SETTINGS in its last steps, when everything is compiled and drawn.

    Raises:
        MassError: the run was too short to tell.
    """
    ends: dict[str, dict[int, float]] = {"train": {}, "valid": {}}
    for entry in read_metrics(os.path.join(folder, TRAINING_METRICS_FILE)):
        ends.setdefault(entry["event"], {})[entry["step"]] = entry["seconds"]
    trained, validated = ends["train"], ends["valid"]
    last = PROBE_STEPS - PROBE_REPORT
    if not {last, PROBE_STEPS} <= trained.keys():
        raise MassError(f"{folder}: the trial run ended after {max(trained, default=0)} steps, too few to measure its "
                        f"speed")
    # A report is made before the validation of the same step. An epoch that ends in between is validated, too.
    validation = validated[PROBE_STEPS] - trained[PROBE_STEPS] if PROBE_STEPS in validated else 0.0
    between = sum(last < step < PROBE_STEPS for step in validated)
    seconds = trained[PROBE_STEPS] - validated.get(last, trained[last]) - between * validation
    return Speed(max(seconds, 1e-3) / PROBE_REPORT, validation)


def shorten(trainings: Sequence[PlannedTraining], minutes: float) -> list[list[str]]:
    """Return, for each training, settings (node.key=value) with which all of them take about `minutes` together.

    All lengths are multiplied by the same factor: the steps, the warm-up, the beginning of the decay, and the distances
    of validations and checkpoints; a decay by `poly` ends with the training. So there are as many validations as
    before, or fewer if they would take more than VALIDATION_SHARE of the time.

    Raises:
        MassError: the time is too short for any training.
    """
    total, steps = 60.0 * minutes, sum(training.seconds for training in trainings)
    planned = sum(training.validation_seconds for training in trainings)
    validations = min(planned, VALIDATION_SHARE * total)
    factor = (total - validations) / steps
    smallest = max(MIN_STEPS / training.config.training_config.max_steps for training in trainings)
    if factor < smallest:
        needed = min(smallest * steps + planned, smallest * steps / (1.0 - VALIDATION_SHARE)) / 60.0
        raise MassError(f"--minutes {minutes:g} is too short: each training needs at least {MIN_STEPS} steps; with "
                        f"validations, they take {needed:.1f} minutes together")
    distance = planned / validations if validations else 1.0
    return [scaled_settings(training.config, factor, distance) for training in trainings]


def scaled_settings(config: Config, factor: float, distance: float = 1.0) -> list[str]:
    """Return the settings of a training whose length is multiplied by `factor`.

    Args:
        distance: by which the distance of validations is multiplied besides.

    Raises:
        MassError: the training would be too short.
    """
    training, rate = config.training_config, config.learn_rate_config

    def scaled(value: int, by: float = factor) -> int:
        return max(1, round(value * by)) if value else 0

    steps = scaled(training.max_steps)
    if steps < MIN_STEPS:
        raise MassError(f"{steps} of {training.max_steps:,} steps are too few: a training needs at least {MIN_STEPS}")
    warmup = min(scaled(rate.warmup_steps), steps // 4)
    values = {"training_config.max_steps": steps,
              "training_config.valid_steps": scaled(training.valid_steps, factor * distance),
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
