"""The learning rate of each step: linear warm-up, then one of the schedules."""
import math
from collections.abc import Callable

from config.config import LearnRateConfig
from config.registry import registry

Schedule = Callable[[int, LearnRateConfig], float]
"""The learning rate of a step (1, 2, ...) that is not before the end of the warm-up."""


def polynomial_decay(step: int, config: LearnRateConfig) -> float:
    """`poly`: polynomial decay from lr to min_lr, in cycles of decay_steps that each begin lower.

    With s steps after the warm-up and c = max(1, ceil(s / decay_steps)):
        (lr - min_lr) * (1 - s / (c * decay_steps))^power + min_lr
    """
    since = step - config.warmup_steps
    cycle = max(1, math.ceil(since / config.decay_steps))
    remaining = 1.0 - since / (cycle * config.decay_steps)
    return (config.lr - config.min_lr) * remaining**config.poly_lr_scheduler_power + config.min_lr


def inverse_square_root(step: int, config: LearnRateConfig) -> float:
    """`isr`: lr until decay_start_step, then lr * sqrt(warmup_steps / step), but at least min_lr."""
    if step <= config.decay_start_step:
        return config.lr
    return max(config.lr * math.sqrt(config.warmup_steps / step), config.min_lr)


SCHEDULES: dict[str, Schedule] = registry(LearnRateConfig, "lr_scheduler", {
    "poly": polynomial_decay,
    "isr": inverse_square_root,
})


def learning_rate(step: int, config: LearnRateConfig) -> float:
    """Return the learning rate of optimizer step 1, 2, ..."""
    if step < config.warmup_steps:
        return config.lr * step / config.warmup_steps
    return SCHEDULES[config.lr_scheduler](step, config)
