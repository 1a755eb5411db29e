"""Reading a Hugging Face folder with a Pegasus model: config.json and weights in safetensors."""
import os
from typing import Any, NamedTuple

import numpy as np

from src.common.errors import MassError
from src.common.files import require_file, require_folder
from src.common.json_files import describe_error, read_json
from src.common.named_files import file_named
from src.export.huggingface.names import LOGITS_BIAS, POSITION_TABLES, SHARED, TABLE, is_copy_or_constant, pegasus_name

_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_SIDES = ("layers", "attention_heads", "ffn_dim")
_NUMBERS = ("vocab_size", "d_model", "max_position_embeddings", "decoder_start_token_id", "pad_token_id",
            "eos_token_id", *(f"{side}_{key}" for side in ("encoder", "decoder") for key in _SIDES))
_LARGEST = 1 << 20  # of a size or an id


class PegasusModel(NamedTuple):
    """The content of a folder."""

    folder: str
    config: dict[str, Any]  # config.json
    arrays: dict[str, np.ndarray]  # float32, by the names in the files

    def our_weights(self, names: list[str]) -> dict[str, np.ndarray]:
        """Return the weights under our names.

        Args:
            names: the names of all weights of our network.

        Raises:
            MassError: a weight is missing, or there is one that our network lacks.
        """
        theirs = {name: pegasus_name(name) for name in names}
        missing = sorted(set(theirs.values()) - self.arrays.keys())
        surplus = sorted(name for name in self.arrays.keys() - set(theirs.values()) if not is_copy_or_constant(name))
        if missing or surplus:
            raise MassError(f"{self.folder!r} does not hold the weights of a Pegasus model: "
                            + "; ".join(f"{what} {', '.join(found[:3])}" for what, found in
                                        (("missing are", missing), ("not of this network are", surplus)) if found))
        return {name: self.arrays[other] for name, other in theirs.items()}


def read_pegasus(folder: str) -> PegasusModel:
    """Read a folder and check that our network can compute what its model does.

    Raises:
        MassError: a file is missing or damaged, or the model is of another architecture; the message says how.
    """
    config = read_model_json(os.path.join(require_folder(folder, "--input"), "config.json"))
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind != "pegasus":
        raise MassError(f"{folder!r} holds a model of type {kind!r}: only pegasus has the "
                        f"architecture of this network (docs/export.md says what others would need)")
    lacking = [key for key in (*_NUMBERS, "activation_function") if config.get(key) is None]
    if lacking:
        raise MassError(f"{os.path.join(folder, 'config.json')} lacks {', '.join(lacking)}")
    unequal = [key for key in _SIDES if config[f"encoder_{key}"] != config[f"decoder_{key}"]]
    if unequal:
        raise MassError(f"{folder!r}: encoder and decoder differ in {', '.join(unequal)}; in this network they must be "
                        f"equal")
    if not config.get("scale_embedding") or config["activation_function"] not in ("relu", "gelu"):
        raise MassError(f"{folder!r}: this network needs scale_embedding true and activation_function relu or gelu, "
                        f"found {config.get('scale_embedding')!r} and {config['activation_function']!r}")
    _require_numbers(os.path.join(folder, "config.json"), config)
    model = PegasusModel(folder, config, _read_arrays(folder))
    _require_sizes(model)
    _require_tied(model)
    return model


def position_tables(model: PegasusModel) -> list[np.ndarray]:
    """Return the stored encodings of positions, [positions, hidden_size]; none if the model computes Pegasus' own."""
    return [model.arrays[name] for name in POSITION_TABLES if name in model.arrays]


def require_no_bias(model: PegasusModel, tokens: int) -> None:
    """Raise a MassError unless the logits of the first `tokens` tokens have no bias."""
    bias = model.arrays.get(LOGITS_BIAS)
    if bias is not None and np.any(bias.reshape(-1)[:tokens]):
        raise MassError(f"{model.folder!r}: {LOGITS_BIAS} is not 0, and this network has no bias of its logits")


def read_model_json(path: str) -> Any:
    """Read a JSON file of a model.

    Raises:
        MassError: the file is missing or malformed.
    """
    try:
        return read_json(require_file(path, "model file"))
    except (OSError, ValueError) as error:
        raise MassError(f"{path}: not a JSON file of a model ({describe_error(error)}); restore it") from error


def _require_numbers(path: str, config: dict[str, Any]) -> None:
    """Raise a MassError if sizes or ids are no whole numbers of a possible size."""
    for key in _NUMBERS:
        if type(config[key]) is not int or not 0 <= config[key] <= _LARGEST:
            raise MassError(f"{path}: {key} is {ascii(config[key])[:40]}, but must be a whole number up to {_LARGEST}")
    for key in _NUMBERS:
        if key.endswith("_token_id") and config[key] >= config["vocab_size"]:
            raise MassError(f"{path}: {key} is {config[key]}, but there are {config['vocab_size']} tokens")


def _require_sizes(model: PegasusModel) -> None:
    """Raise a MassError if arrays are missing or of other sizes than config.json says.

    The network is built after that, so that nothing is allocated for sizes that are merely claimed.
    """
    config, hidden = model.config, model.config["d_model"]
    expected = {SHARED: (config["vocab_size"], hidden)}
    for side in ("encoder", "decoder"):
        last = f"model.{side}.layers.{config[f'{side}_layers'] - 1}.fc1.weight"
        expected[last] = config[f"{side}_ffn_dim"], hidden
    for name, shape in expected.items():
        if name not in model.arrays:
            raise MassError(f"{model.folder!r} does not hold the weights of a Pegasus model: missing is {name}")
        found = model.arrays[name].shape
        if found != shape:
            raise MassError(f"{model.folder!r}: {name} has shape {list(found)}, but config.json says {list(shape)}")


def _require_tied(model: PegasusModel) -> None:
    """Raise a MassError if source, target and output do not share one embedding table."""
    for name, array in model.arrays.items():
        if is_copy_or_constant(name) and name not in (*POSITION_TABLES, LOGITS_BIAS) \
                and not np.array_equal(array, model.arrays[SHARED]):
            raise MassError(f"{model.folder!r}: {name} differs from {SHARED}, but this network has one table for "
                            f"source, target and output ({TABLE})")


def _read_arrays(folder: str) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError, safe_open

    index = os.path.join(folder, _INDEX)
    names = _names_of_parts(index) if os.path.isfile(index) else [_WEIGHTS]
    arrays = {}
    for name in names:
        path = file_named(name, index, "weights", ".safetensors")
        if not os.path.isfile(path):
            raise MassError(f"{path!r} does not exist: weights are read from safetensors only; load the model with "
                            f"transformers and save it with save_pretrained to get that")
        try:
            with safe_open(path, framework="numpy") as stream:
                for key in stream.keys():  # noqa: SIM118
                    arrays[key] = np.asarray(stream.get_tensor(key)).astype(np.float32)
        except (SafetensorError, ValueError, TypeError) as error:
            raise MassError(f"{path!r} cannot be read ({error}): it is damaged, or its weights are not of type float32 "
                            f"or float16; save the model as float32") from error
    return arrays


def _names_of_parts(index: str) -> list[str]:
    """Return the names of the files that hold the weights of a large model."""
    content = read_model_json(index)
    try:
        return sorted(set(content["weight_map"].values()))
    except (KeyError, TypeError, AttributeError) as error:
        raise MassError(f"{index}: not an index of weights (it has no weight_map); save the model again") from error
