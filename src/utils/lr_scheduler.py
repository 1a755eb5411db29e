"""The learning rate of each step."""
import math

from config.config import LearnRateConfig


def learning_rate(step: int, config: LearnRateConfig) -> float:
    """The rate of optimizer step 1, 2, ...: linear warm-up to lr, then `poly` or `isr`.

    poly, s steps after the warm-up, in cycle c = max(1, ceil(s / decay_steps)):
        (lr - min_lr) * (1 - s / (c * decay_steps))^power + min_lr
    isr: lr until decay_start_step, then lr * sqrt(warmup_steps / step), never below min_lr.
    """
    if step < config.warmup_steps:
        return config.lr * step / config.warmup_steps
    if config.lr_scheduler == "poly":
        since = step - config.warmup_steps
        cycle = max(1, math.ceil(since / config.decay_steps))
        remaining = 1.0 - since / (cycle * config.decay_steps)
        return (config.lr - config.min_lr) * remaining**config.poly_lr_scheduler_power + config.min_lr
    if step <= config.decay_start_step:
        return config.lr
    return max(config.lr * math.sqrt(config.warmup_steps / step), config.min_lr)
