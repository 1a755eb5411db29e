"""Checks that weights, network, vocabulary, configuration and data belong together."""
import dataclasses
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from config.config import MAY_CHANGE, Config, ModelConfig
from src.checkpoints.training_state import DataIdentity, TrainingState
from src.common.errors import MassError, UsageError
from src.dataset.records.record_set import RecordSet
from src.utils.dictionary import Dictionary
from src.utils.load_weights import Weights, stored_vocabulary_path

SIZE_KEYS = ("hidden_size", "num_hidden_layers", "intermediate_size")
"""Keys of model_config that give the weights of a network their shapes, beside the size of the vocabulary."""

SHAPELESS_KEYS = ("num_attention_heads", "hidden_act", "position_encoding")
"""Keys of model_config that change what the network computes, but no shape of its weights."""

_IDENTITY = {"kind": "the kind of the training data", "examples": "the number of training examples",
             "tokens": "the number of tokens in the training data",
             "batches_per_step": "the number of batches per step (accumulate_batches times devices)",
             "steps_per_epoch": "the number of steps per epoch"}
"""The fields of DataIdentity that must not change when a run is resumed."""


class VocabularyUse(NamedTuple):
    """A vocabulary and the file whose ids are of it."""

    owner: str  # the file, for messages: "checkpoint 'run/best.safetensors'"
    path: str  # of the vocabulary; it may not exist any more; "" if the file names none that can be used
    size: int
    fingerprint: str

    @classmethod
    def of_records(cls, records: RecordSet) -> "VocabularyUse":
        """Return the vocabulary of a data set."""
        vocabulary = records.info.vocabulary
        return cls(f"the data {records.paths[0]!r}", records.vocabulary_path, vocabulary["size"],
                   vocabulary["fingerprint"])

    @classmethod
    def of_weights(cls, path: str, metadata: Mapping[str, Any]) -> "VocabularyUse | None":
        """Return the vocabulary that the metadata of a weights file describe; None if they describe none."""
        vocabulary = metadata.get("vocabulary")
        if not vocabulary:
            return None
        try:
            vocabulary_path = stored_vocabulary_path(path, metadata)
        except MassError:  # for example "../run/v.bin" in an old average; the fingerprint is enough to compare
            vocabulary_path = ""
        return cls(f"checkpoint {path!r}", vocabulary_path, vocabulary["size"], vocabulary["fingerprint"])


class NetworkUse(NamedTuple):
    """What identifies a network: the shapes of its weights, and what does not show in them."""

    owner: str  # what the network is that of, for messages
    shapes: Mapping[str, tuple[int, ...]]
    shapeless: Mapping[str, Any]  # values of SHAPELESS_KEYS, as far as they are known

    @classmethod
    def of_weights(cls, weights: Weights) -> "NetworkUse":
        """Return the network that a weights file is of."""
        config = weights.metadata.get("config")
        model = config.get("model_config") if isinstance(config, dict) else None
        model = model if isinstance(model, dict) else {}
        return cls(f"checkpoint {weights.path!r}", {name: array.shape for name, array in weights.arrays.items()},
                   {key: model[key] for key in SHAPELESS_KEYS if key in model})

    @classmethod
    def of_config(cls, model: ModelConfig, shapes: Mapping[str, tuple[int, ...]]) -> "NetworkUse":
        """Return the network that was built from a configuration."""
        return cls("the network of model_config", shapes, {key: getattr(model, key) for key in SHAPELESS_KEYS})


def require_same_vocabulary(one: VocabularyUse, other: VocabularyUse, advice: str) -> None:
    """Check that two files use the same vocabulary.

    Raises:
        MassError: they do not. The message names both files, both vocabularies, their sizes and the first token that
            differs, and ends with `advice`.
    """
    if one.fingerprint == other.fingerprint:
        return
    difference = f"{one.size} and {other.size} tokens"
    if os.path.isfile(one.path) and os.path.isfile(other.path):
        first, second = (Dictionary.load_from_persisted_dict(use.path) for use in (one, other))
        difference = first.describe_difference(second)
    raise MassError(f"{one.owner} and {other.owner} have different vocabularies, {one.path!r} and {other.path!r} "
                    f"({difference}); {advice}")


def require_same_network(one: NetworkUse, other: NetworkUse, advice: str) -> None:
    """Check that two networks have weights of the same names and shapes, and the same SHAPELESS_KEYS.

    Raises:
        MassError: they do not. The message says what differs and ends with `advice`.
    """
    for holder, lacking in ((one, other), (other, one)):
        missing = sorted(holder.shapes.keys() - lacking.shapes.keys())
        if missing:
            more = f" and {len(missing) - 3} more weights" if len(missing) > 3 else ""
            raise MassError(f"{lacking.owner} lacks {', '.join(missing[:3])}{more}, which {holder.owner} has: {advice}")
    for name, shape in one.shapes.items():
        if tuple(shape) != tuple(other.shapes[name]):
            raise MassError(f"{name} has shape {list(shape)} in {one.owner} and {list(other.shapes[name])} in "
                            f"{other.owner}: {advice}")
    for key in one.shapeless.keys() & other.shapeless.keys():
        if one.shapeless[key] != other.shapeless[key]:
            raise MassError(f"model_config.{key} is {one.shapeless[key]!r} in {one.owner} and "
                            f"{other.shapeless[key]!r} in {other.owner}: {advice}")


def with_vocabulary_size(config: Config, size: int, vocabulary: str) -> Config:
    """Return the configuration with vocab_size 0 replaced by the size of the vocabulary.

    Args:
        size: the number of tokens in the vocabulary.
        vocabulary: what to call it in an error.

    Raises:
        UsageError: vocab_size is neither 0 nor that size.
    """
    model = config.model_config
    if model.vocab_size not in (0, size):
        raise UsageError(f"model_config.vocab_size is {model.vocab_size}, but {vocabulary} has {size} tokens: set it "
                         f"to {size} or 0, or use another vocabulary")
    return dataclasses.replace(config, model_config=dataclasses.replace(model, vocab_size=size))


def with_vocabulary_of(config: Config, records: RecordSet) -> Config:
    """Return the configuration with vocab_size 0 replaced by the size of the data's vocabulary.

    Raises:
        UsageError: vocab_size is neither 0 nor that size.
    """
    return with_vocabulary_size(config, records.info.vocabulary["size"],
                                f"the vocabulary {records.vocabulary_path!r} of {records.paths[0]!r}")


def require_same_run(checkpoint: str, state: TrainingState, config: Config, data: DataIdentity) -> None:
    """Check that a run may continue from a checkpoint with this configuration and this data.

    Only keys that config/config.py marks with `resume=MAY_CHANGE` may differ from the checkpoint's.

    Raises:
        UsageError: another key or the training data differ; the message names each key with both values.
    """
    differences = []
    for node in dataclasses.fields(config):
        earlier, present = getattr(state.config, node.name), getattr(config, node.name)
        for key in dataclasses.fields(present):
            values = getattr(earlier, key.name), getattr(present, key.name)
            if values[0] != values[1] and key.metadata["resume"] != MAY_CHANGE:
                differences.append(f"{node.name}.{key.name} was {values[0]!r} and is {values[1]!r}")
    for name, meaning in _IDENTITY.items():
        values = getattr(state.data, name), getattr(data, name)
        if values[0] != values[1] and not differences:  # the last two also follow from keys
            differences.append(f"{meaning} was {values[0]} and is {values[1]}")
    if differences:
        raise UsageError(f"{checkpoint!r} cannot be resumed with this configuration: {'; '.join(differences)}. Restore "
                         f"the earlier values, or start a new run from these weights with "
                         f"checkpoint_options.existed_ckpt")
