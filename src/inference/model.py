"""Loading of a trained network for inference."""
import dataclasses
import sys
from typing import NamedTuple

from src.checkpoints.find import ModelFiles
from src.checkpoints.load import load_into
from src.runtime.device import require_compute_type, set_up_device
from src.transformer.decoding.number_formats import choose_format
from src.transformer.operators.selection import operators_of
from src.transformer.transformer_for_train import TransformerForTrain


class Model(NamedTuple):
    """A network with its weights, and the files that it was loaded from."""

    files: ModelFiles
    network: TransformerForTrain
    computation: str  # the operators and the number formats, on which the last digits of scores depend


def load_model(files: ModelFiles) -> Model:
    """Set up the device, load the network, and print to stderr which operators it runs on and the search's format.

    Raises:
        UsageError: the number format is not possible on the device.
        MassError: the weights do not match the configuration or the vocabulary, or the device is not available.
    """
    # A model that was trained with flash attention, on Ascend, runs on every device.
    training = dataclasses.replace(files.config.training_config, flash_attention=False)
    config = dataclasses.replace(files.config, training_config=training)
    set_up_device(config)
    require_compute_type(config)
    choice = operators_of(config)
    search = choose_format(config.model_config.decode_compute_type, choice.operators)
    print(f"model: {files.checkpoint}; operators: {choice.reason}; products in {choice.number_format}; "
          f"search in {search}", file=sys.stderr, flush=True)
    network = TransformerForTrain(config.model_config, choice.operators)
    load_into(network, files.checkpoint, config.model_config, files.vocabulary_use)
    network.set_train(False)
    operators = type(choice.operators).__name__
    return Model(files, network, f"{operators}, {choice.number_format.compute_type}, search in {search}")
