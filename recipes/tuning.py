"""The choice of settings of the search on the validation pairs."""
import math
import os
from collections.abc import Mapping, Sequence

from config.config import ModelConfig
from src.common.json_files import read_json
from src.common.progress import say
from src.inference.output import METRICS_FILE

SEARCH_VALUES: Mapping[str, Sequence[float]] = {
    "length_penalty_weight": (0.5, 1.0, 1.5, 2.0), "min_decode_length": (1, 6, 9), "no_repeat_ngram_size": (0, 3)}
"""The settings of summarization, in the order of their choice, and the values that are tried beside the usual ones."""
MEASURE = "rouge-2"  # a constant sentence of frequent words can be good by the others


def values_to_try(key: str, model: ModelConfig, values: Sequence[float]) -> list[float]:
    """Return the value of a key in a configuration, and the other values that are possible with the rest of it."""
    longest = model.max_decode_length if key == "min_decode_length" else math.inf
    return list(dict.fromkeys([getattr(model, key), *(value for value in values if value <= longest)]))


def best_value(name: str, key: str, outputs: Mapping[float, str]) -> float:
    """Return the value of a setting whose predictions for the validation pairs have the best ROUGE-2, and print all.

    Args:
        name: of the model, for the message.
        key: of model_config, for the message.
        outputs: the folder of eval.py's output for each value.
    """
    scores = {value: read_json(os.path.join(folder, METRICS_FILE))["rouge"][MEASURE]
              for value, folder in outputs.items()}
    best = max(scores, key=scores.__getitem__)
    shown = ", ".join(f"{value:g}: {score:.2f}" for value, score in scores.items())
    say(f"{key} of {name} by {MEASURE.upper()} on the validation pairs: {best:g} ({shown})")
    return best
