"""Lengths of trainings that fit into a given time."""
import json
import os
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
                  "training_config.valid_steps=0", f"checkpoint_options.save_ckpt_steps={PROBE_STEPS}")


class PlannedTraining(NamedTuple):
    """A training as its configuration plans it, and a trial run of it that measured its speed."""

    config: Config
    probe_folder: str
    runs: int  # how often it will be done

    @property
    def seconds(self) -> float:
        """The time that all runs would take."""
        return self.config.training_config.max_steps * seconds_per_step(self.probe_folder) * self.runs


def seconds_per_step(folder: str) -> float:
    """Return the seconds that a step took in a trial run, without its first steps.

    Raises:
        MassError: the run was too short to tell.
    """
    times = {entry["step"]: entry["seconds"] for entry in read_metrics(os.path.join(folder, TRAINING_METRICS_FILE))
             if entry["event"] == "train"}
    first, last = min(times), max(times)
    if last == first:
        raise MassError(f"{folder}: the trial run has {last} steps, too few to measure its speed")
    return (times[last] - times[first]) / (last - first)


def shorten(trainings: Sequence[PlannedTraining], minutes: float) -> list[list[str]]:
    """Return, for each training, settings (node.key=value) with which all of them take about `minutes` together.

    All lengths are multiplied by the same factor: the steps, the warm-up, the decay, and the distances of validations
    and checkpoints.

    Raises:
        MassError: the time is too short for any training.
    """
    factor = 60.0 * minutes / sum(training.seconds for training in trainings)
    return [scaled_settings(training.config, factor) for training in trainings]


def scaled_settings(config: Config, factor: float) -> list[str]:
    """Return the settings of a training whose length is multiplied by `factor`."""
    training, rate = config.training_config, config.learn_rate_config

    def scaled(value: int) -> int:
        return max(1, round(value * factor)) if value else 0

    steps = scaled(training.max_steps)
    if steps < MIN_STEPS:
        raise MassError(f"the time is too short: {steps} steps of {training.max_steps:,} fit into it, and a training "
                        f"needs at least {MIN_STEPS}; give more --minutes")
    warmup = min(scaled(rate.warmup_steps), steps // 4)
    values = {"training_config.max_steps": steps, "training_config.valid_steps": scaled(training.valid_steps),
              "learn_rate_config.warmup_steps": warmup, "learn_rate_config.decay_steps": steps - warmup,
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
