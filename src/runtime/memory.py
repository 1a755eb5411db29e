"""An estimate of the memory that training takes, compared with that of the machine before anything is built."""
import os

from config.config import Config, ModelConfig
from src.common.errors import MassError

_ARRAYS = {"adam": 4, "lamb": 4, "momentum": 3}  # weights, gradients and optimizer state, as large as the weights each


def count_weights(model: ModelConfig) -> int:
    """Return the number of weights of a network; all of them are float32."""
    hidden, inner = model.hidden_size, model.intermediate_size
    attention = 4 * hidden * (hidden + 1)
    feed_forward = hidden * inner + inner + inner * hidden + hidden
    norm = 2 * hidden
    encoder_layer = attention + feed_forward + 2 * norm
    decoder_layer = 2 * attention + feed_forward + 3 * norm
    return model.vocab_size * hidden + model.num_hidden_layers * (encoder_layer + decoder_layer) + 2 * norm


def require_memory(config: Config) -> None:
    """Refuse a network that cannot be trained on this machine's CPU: activations are not counted.

    Raises:
        MassError: weights, gradients and optimizer state are larger than the memory of the machine.
    """
    if config.training_config.device_target != "CPU" or not hasattr(os, "sysconf"):
        return
    count, arrays = count_weights(config.model_config), _ARRAYS[config.learn_rate_config.optimizer]
    needed, present = 4 * arrays * count, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > present:
        raise MassError(f"the network of model_config has {count:,} weights; with gradients and optimizer state they "
                        f"take {needed / 2**30:,.1f} GiB, but this machine has {present / 2**30:,.1f} GiB: reduce "
                        f"hidden_size, intermediate_size, num_hidden_layers or vocab_size")
