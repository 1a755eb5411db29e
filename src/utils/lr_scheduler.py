"""The learning rate of each step: linear warm-up, then one of the schedules."""
import math
from collections.abc import Callable

from config.config import LearnRateConfig
from config.registry import registry

SUDDEN = 0.9
"""A rate below this share of the rate of the step before is a sudden fall."""

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


def schedule_warnings(config: LearnRateConfig, total_steps: int) -> list[str]:
    """Return what may surprise in the learning rates of a run; the formulas of the paper's implementation say so.

    Args:
        total_steps: the last step of the run.
    """
    found = []
    start, end = config.decay_start_step, config.warmup_steps + config.decay_steps
    if total_steps < config.warmup_steps:
        found.append(f"the run ends within the warm-up, at a learning rate of {learning_rate(total_steps, config):.3g} "
                     f"instead of {config.lr:.3g} (learn_rate_config.warmup_steps is {config.warmup_steps:,}; the run "
                     f"has {total_steps:,} steps)")
    if config.lr_scheduler == "isr" and config.warmup_steps <= start < total_steps:
        before, after = (learning_rate(step, config) for step in (start, start + 1))
        if after < SUDDEN * before:
            found.append(f"the learning rate falls by {1 - after / before:.0%} in one step after step {start:,} "
                         f"(learn_rate_config.decay_start_step; it falls smoothly if this equals warmup_steps)")
    if config.lr_scheduler == "poly" and end < total_steps:
        before, after = (learning_rate(step, config) for step in (end, end + 1))
        if after > before:
            found.append(f"the learning rate rises again after step {end:,}, from {before:.3g} to {after:.3g} (the end "
                         f"of learn_rate_config.decay_steps; the run has {total_steps:,} steps)")
    return found


def planned_rates(config: LearnRateConfig, total_steps: int, points: int = 500) -> list[tuple[int, float]]:
    """Return steps, which are evenly spread over a run and include its first and its last one, and their rates."""
    count = min(points, total_steps)
    steps = sorted({1 + (total_steps - 1) * point // max(1, count - 1) for point in range(count)})
    return [(step, learning_rate(step, config)) for step in steps]
