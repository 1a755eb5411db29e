"""The network's weights against files: what belongs together is checked by name, shape and vocabulary."""
import os
import sys
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from config.config import ModelConfig
from src.utils.dictionary import Dictionary
from src.common.errors import MassError
from src.utils.load_weights import SHAPELESS_KEYS, Weights, load_weights


def network_arrays(network: nn.Cell) -> dict[str, np.ndarray]:
    """Names and values of a network's weights."""
    return {parameter.name: parameter.asnumpy() for parameter in network.get_parameters()}


def load_into(network: nn.Cell, path: str, model: ModelConfig, vocabulary: dict[str, Any],
              vocabulary_path: str) -> Weights:
    """Set a network's weights from a file.

    Args:
        network: the network; its parameter names are those of the file.
        model: the configuration it was built from.
        vocabulary: file, size and fingerprint of the vocabulary in use; `vocabulary_path` is where it stands.

    Raises:
        MassError: the file was made with another vocabulary, or names, shapes, heads or activation differ; nothing is
            set then.
    """
    weights = load_weights(path)
    check_vocabulary(weights, vocabulary, vocabulary_path)
    parameters = {parameter.name: parameter for parameter in network.get_parameters()}
    missing, unknown = parameters.keys() - weights.arrays.keys(), weights.arrays.keys() - parameters.keys()
    if missing or unknown:
        raise MassError(f"checkpoint {path!r} is not of this network: {_some('it lacks', missing)}"
                        f"{_some('it has besides', unknown)}model_config.num_hidden_layers may differ")
    for name, parameter in parameters.items():
        found = weights.arrays[name].shape
        if tuple(found) != tuple(parameter.shape):
            raise MassError(f"checkpoint {path!r} has {name} of shape {list(found)}, the network of model_config has "
                            f"{list(parameter.shape)}: set model_config to the sizes it was trained with")
    trained = weights.metadata.get("config", {}).get("model_config", {})
    for key in SHAPELESS_KEYS:
        if trained.get(key, getattr(model, key)) != getattr(model, key):
            raise MassError(f"checkpoint {path!r} was trained with model_config.{key} {trained[key]!r}, the "
                            f"configuration says {getattr(model, key)!r}: set it to {trained[key]!r}")
    for name, parameter in parameters.items():
        parameter.set_data(Tensor(weights.arrays[name].astype(np.float32)))
    return weights


def check_vocabulary(weights: Weights, vocabulary: dict[str, Any], vocabulary_path: str) -> None:
    """Raise a MassError naming both files, both sizes and the first symbol that differs, unless they are the same."""
    trained = weights.metadata.get("vocabulary")
    if trained is None:
        print(f"warning: {weights.path} does not say which vocabulary it was trained with; only shapes are checked",
              file=sys.stderr)
    elif trained["fingerprint"] != vocabulary["fingerprint"]:
        own_path = os.path.join(os.path.dirname(weights.path), trained["file"])
        detail = f"its size is {trained['size']}, the other's {vocabulary['size']}"
        if os.path.isfile(own_path) and os.path.isfile(vocabulary_path):
            own, other = map(Dictionary.load_from_persisted_dict, (own_path, vocabulary_path))
            detail = own.describe_difference(other)
        raise MassError(f"checkpoint {weights.path!r} was trained with the vocabulary {own_path!r}, the data is in "
                        f"{vocabulary_path!r}: {detail}; make the data set with the checkpoint's vocabulary")


def _some(what: str, names: set[str]) -> str:
    shown = ", ".join(sorted(names)[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{what} {shown}; " if names else ""
