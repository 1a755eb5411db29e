"""The plot of a training run: losses and learning rate over the steps."""
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from src.common.files import atomic_output
from src.utils.monitoring.metrics_file import read_metrics

LOSS_CURVE_FILE = "loss_curve.png"
LOSS_LABEL = "negative log-likelihood per subword (nats)"
BLUE, ORANGE, GREY = "#4c72b0", "#dd8452", "#8c8c8c"
SMOOTHED_FROM = 40  # training reports; fewer are drawn without a running mean
MARKED_UP_TO = 60  # validations; the markers of more would cover the line


def draw_loss_curve(metrics_path: str, picture_path: str, title: str = "",
                    planned: Sequence[tuple[int, float]] = ()) -> None:
    """Plot a metrics file into a picture file; nothing is written if the file has no losses yet.

    Args:
        planned: steps of the whole run and their learning rates, which are drawn besides.
    """
    from matplotlib.figure import Figure  # pyplot needs a display and has global state

    entries = read_metrics(metrics_path)
    if not any(_points(entries, event)[0] for event in ("train", "valid")):
        return
    figure = Figure(figsize=(9, 4.8), layout="constrained")
    axes = figure.subplots()
    plot_losses(axes, entries, BLUE, ORANGE)
    _plot_learning_rate(axes, entries, planned)
    skips = [entry["step"] for entry in entries if entry["event"] == "skip"]
    if skips:
        axes.plot(skips, [0.01] * len(skips), "|", color="#c44e52", transform=axes.get_xaxis_transform(),
                  label=f"skipped updates ({len(skips)})")
    axes.set_title(title)
    figure.legend(loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    with atomic_output(picture_path) as temporary:
        figure.savefig(temporary, dpi=110)


def plot_losses(axes: Any, entries: list[dict[str, Any]], train_colour: str, valid_colour: str,
                prefix: str = "") -> None:
    """Plot the negative log-likelihoods of a run into matplotlib axes: training as a line, validation with markers.

    Training losses are usually higher than validation losses, because they are measured with dropout and, in
    pre-training, with fresh masks. If there are many reports, they are drawn faintly behind their running mean.

    Args:
        entries: those of a metrics file.
        prefix: of the labels in the legend.
    """
    steps, losses = _points(entries, "train")
    smooth = len(losses) >= SMOOTHED_FROM
    axes.plot(steps, losses, color=train_colour, alpha=0.3 if smooth else 0.6, linewidth=1,
              label="" if smooth else f"{prefix}training")
    if smooth:
        axes.plot(steps, running_mean(losses, len(losses) // 20), color=train_colour, alpha=0.7, linewidth=1.2,
                  label=f"{prefix}training (running mean)")
    steps, losses = _points(entries, "valid")
    if losses:
        best = int(np.argmin(losses))
        axes.plot(steps, losses, color=valid_colour, marker="o" if len(losses) <= MARKED_UP_TO else "",
                  markersize=3, linewidth=1.5,
                  label=f"{prefix}validation (best {losses[best]:.3f} at step {steps[best]:,})")
    axes.set_xlabel("step")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylabel(LOSS_LABEL)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def running_mean(values: list[float], width: int) -> np.ndarray:
    """Return the mean of each value with up to `width` values before it and as many after it: [n].

    At the ends, fewer values are used, but always as many on both sides.
    """
    sums = np.concatenate([[0.0], np.cumsum(values)])
    centres = np.arange(len(values))
    reach = np.minimum(width, np.minimum(centres, centres[::-1]))
    return (sums[centres + reach + 1] - sums[centres - reach]) / (2 * reach + 1)


def _plot_learning_rate(axes: Any, entries: list[dict[str, Any]], planned: Sequence[tuple[int, float]]) -> None:
    points = [(entry["step"], entry["lr"]) for entry in entries if entry["event"] == "train"]
    if not points:
        return
    other = axes.twinx()
    if planned:
        other.plot(*zip(*planned, strict=True), color=GREY, linewidth=1, linestyle=":", alpha=0.7,
                   label="learning rate (planned)")
    other.plot(*zip(*points, strict=True), color=GREY, linewidth=1, linestyle="--", label="learning rate")
    other.set_ylabel("learning rate", color=GREY)
    other.tick_params(axis="y", colors=GREY)
    other.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))
    other.set_ylim(bottom=0)
    other.spines[["top", "left"]].set_visible(False)


def _points(entries: list[dict[str, Any]], event: str) -> tuple[list[int], list[float]]:
    """Return steps and losses of the entries of an event, without losses that are not finite (null)."""
    found = [(entry["step"], entry["nll"]) for entry in entries
             if entry["event"] == event and entry["nll"] is not None and math.isfinite(entry["nll"])]
    return [step for step, _ in found], [loss for _, loss in found]
