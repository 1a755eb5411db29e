"""The parameters of a network and of an optimizer, read from and written to arrays."""
import sys
from collections.abc import Sequence

import numpy as np
from mindspore import Parameter, Tensor, nn

from config.config import ModelConfig
from src.checkpoints.compatibility import NetworkUse, VocabularyUse, require_same_network, require_same_vocabulary
from src.checkpoints.files import require_weights_name
from src.checkpoints.model_zoo import refuse_model_zoo
from src.checkpoints.resume import load_intact_weights
from src.common.errors import MassError
from src.utils.load_weights import Weights, load_weights


def network_arrays(network: nn.Cell) -> dict[str, np.ndarray]:
    """Return the weights of a network by name."""
    return {parameter.name: parameter.asnumpy() for parameter in network.get_parameters()}


def load_into(network: nn.Cell, path: str, model: ModelConfig, vocabulary: VocabularyUse) -> Weights:
    """Set the weights of a network from a file.

    Args:
        network: the network; its parameters have the names of the file's arrays.
        path: the weights file.
        model: the configuration that the network was built from.
        vocabulary: the vocabulary in use.

    Raises:
        UsageError: the file is an optimizer state.
        MassError: the file was made with another vocabulary, or is of another network; no weight is set then.
    """
    require_weights_name(path)
    weights = load_intact_weights(path)
    refuse_model_zoo(path, weights.arrays)
    trained = VocabularyUse.of_weights(path, weights.metadata)
    if trained:
        require_same_vocabulary(trained, vocabulary, "prepare the data with the checkpoint's vocabulary")
    else:
        print(f"warning: {path} does not name the vocabulary it was trained with; only shapes are checked",
              file=sys.stderr)
    parameters = {parameter.name: parameter for parameter in network.get_parameters()}
    shapes = {name: parameter.shape for name, parameter in parameters.items()}
    require_same_network(NetworkUse.of_weights(weights), NetworkUse.of_config(model, shapes),
                         "set model_config (num_hidden_layers, hidden_size, ...) to what the checkpoint was trained "
                         "with")
    for name, parameter in parameters.items():
        parameter.set_data(Tensor(weights.arrays[name].astype(np.float32)))
    return weights


def load_optimizer_state(path: str, parameters: Sequence[Parameter]) -> None:
    """Set the state of an optimizer from the `.state.safetensors` file of a checkpoint.

    Raises:
        MassError: the file is of another optimizer or network.
    """
    arrays = load_weights(path).arrays
    wanted = {parameter.name: tuple(parameter.shape) for parameter in parameters}
    found = {name: array.shape for name, array in arrays.items()}
    if wanted != found:
        name = min(set(wanted.items()) ^ set(found.items()))[0]
        raise MassError(f"{path!r} does not hold the state of this optimizer: {name} has shape {found.get(name)} there "
                        f"and {wanted.get(name)} here")
    for parameter in parameters:
        parameter.set_data(Tensor(arrays[parameter.name], parameter.dtype))
