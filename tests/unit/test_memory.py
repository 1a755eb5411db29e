"""The estimate of memory against the weights of real networks, and what it refuses."""
import dataclasses

import pytest

from config.config import Config
from src.common.errors import MassError
from src.runtime.memory import count_weights, require_memory
from src.transformer.transformer import Transformer
from tests.helpers.tiny_network import MODEL, operators


@pytest.mark.parametrize("layers", [1, 3])
def test_weights_are_counted(layers):
    model = dataclasses.replace(MODEL, num_hidden_layers=layers)
    network = Transformer(model, operators("mindspore"))
    assert count_weights(model) == sum(weight.size for weight in network.get_parameters())


def test_a_network_that_cannot_be_held_is_refused():
    model = dataclasses.replace(Config().model_config, hidden_size=65536, intermediate_size=1_000_000)
    with pytest.raises(MassError, match="weights; with gradients and optimizer state they take .* GiB"):
        require_memory(dataclasses.replace(Config(), model_config=model))
    require_memory(Config())
