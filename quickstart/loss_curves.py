"""The picture of the quick start's losses."""
from typing import Any

from src.utils.files import atomic_output

COLOURS = {"pre-training": "#4c72b0", "MASS pre-trained": "#4c72b0", "from scratch": "#dd8452"}


def draw_loss_curves(histories: dict[str, list[dict[str, Any]]], path: str) -> None:
    """Draw the negative log-likelihood of each training, pre-training on the left and fine-tuning on the right.

    `histories` maps the name of a training to the lines of its metrics.jsonl. Faint lines are training (with dropout,
    hence above), marked lines validation.
    """
    import matplotlib

    matplotlib.use("Agg")  # no screen needed
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for name, history in histories.items():
        panel = panels[0] if "pre-training" in name else panels[1]
        colour = next(colour for key, colour in COLOURS.items() if key in name)
        train, valid = ([line for line in history if line["event"] == event] for event in ("train", "valid"))
        panel.plot([line["step"] for line in train], [line["nll"] for line in train], color=colour, alpha=0.4,
                   linewidth=1, label=f"{name}: training")
        panel.plot([line["step"] for line in valid], [line["nll"] for line in valid], color=colour, marker="o",
                   markersize=3, linewidth=1.5, label=f"{name}: validation")
    for panel, title in zip(panels, ("Pre-training", "Fine-tuning"), strict=True):
        panel.set_title(title)
        panel.set_xlabel("step")
        panel.set_ylabel("negative log-likelihood per subword (nats)")
        panel.grid(alpha=0.3)
        panel.legend(frameon=False, fontsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    with atomic_output(path) as temporary:
        figure.savefig(temporary, dpi=140)
    pyplot.close(figure)
