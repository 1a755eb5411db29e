"""The plot of the losses of a recipe."""
from typing import Any

from src.common.files import atomic_output
from src.utils.monitoring.loss_curve import BLUE, ORANGE, plot_losses

COLOURS = {"pre-training": BLUE, "MASS pre-trained": BLUE, "from scratch": ORANGE}


def draw_loss_curves(histories: dict[str, list[dict[str, Any]]], path: str) -> None:
    """Plot the negative log-likelihood of each training: pre-training on the left, fine-tuning on the right.

    Args:
        histories: the lines of metrics.jsonl by the name of the training.
        path: the image file to write.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    panels = figure.subplots(1, 2)
    for name, history in histories.items():
        colour = next(colour for key, colour in COLOURS.items() if key in name)
        plot_losses(panels[0] if "pre-training" in name else panels[1], history, colour, colour, f"{name}: ")
    for panel, title in zip(panels, ("Pre-training", "Fine-tuning"), strict=True):
        panel.set_title(title)
        panel.legend(frameon=False, fontsize=8)
    with atomic_output(path) as temporary:
        figure.savefig(temporary, dpi=140)
