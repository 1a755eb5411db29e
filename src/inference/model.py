"""A trained network, ready to answer and to score."""
import sys
from typing import NamedTuple

from src.checkpoints.find import ModelFiles
from src.checkpoints.load import load_into
from src.runtime.device import require_compute_type, set_up_device
from src.transformer.operators.selection import choose_operators
from src.transformer.transformer_for_train import TransformerForTrain


class Model(NamedTuple):
    """The network with its weights, and the files they are from."""

    files: ModelFiles
    network: TransformerForTrain


def load_model(files: ModelFiles) -> Model:
    """Set up the device and load the network; says on stderr what it runs on.

    Raises:
        MassError: the weights are not of the configuration or the vocabulary, or the device is not there.
    """
    config = files.config
    set_up_device(config)
    require_compute_type(config)
    choice = choose_operators(config.training_config.device_target, config.training_config.native_kernels,
                              config.model_config.compute_type)
    print(f"model: {files.checkpoint}; operators: {choice.reason}", file=sys.stderr, flush=True)
    network = TransformerForTrain(config.model_config, choice.operators)
    load_into(network, files.checkpoint, config.model_config, files.vocabulary_description, files.vocabulary_path)
    network.set_train(False)
    return Model(files, network)
