"""Runs of a LossMonitor over made-up steps."""
import os

from src.utils.loss_monitor import LossMonitor


def sums(step):
    """Return loss, negative log-likelihood, number of target tokens and number of tokens of a step, all distinct."""
    return 40.0 + step / 7, 30.0 + step / 3, 10 + step, 25 + 2 * step


def train(folder, steps, total=40, log_steps=10, **options):
    """Run a monitor over some steps, close it and return it."""
    os.makedirs(folder, exist_ok=True)
    monitor = LossMonitor(str(folder), log_steps, total, **options)
    for step in steps:
        monitor.step(step, *sums(step), learning_rate=step / 1000, loss_scale=64.0)
    monitor.close()
    return monitor
