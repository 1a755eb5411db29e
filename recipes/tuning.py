"""The choice of the length penalty on the validation pairs."""
import os
from collections.abc import Mapping

from src.common.json_files import read_json
from src.common.progress import say

MEASURE = "rouge-l"


def best_penalty(name: str, outputs: Mapping[float, str]) -> float:
    """Return the length penalty whose predictions for the validation pairs have the best ROUGE-L, and print all.

    Args:
        name: of the model, for the message.
        outputs: the folder of eval.py's output for each penalty.
    """
    scores = {penalty: read_json(os.path.join(folder, "metrics.json"))["rouge"][MEASURE]
              for penalty, folder in outputs.items()}
    best = max(scores, key=scores.__getitem__)
    shown = ", ".join(f"{penalty:g}: {score:.2f}" for penalty, score in scores.items())
    say(f"length penalty of {name} by {MEASURE.upper()} on the validation pairs: {best:g} ({shown})")
    return best
