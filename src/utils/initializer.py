"""Starting values of the weights, as numpy arrays that depend on a seed only."""
import math

import numpy as np


def uniform_weights(fan_out: int, fan_in: int, seed: int) -> np.ndarray:
    """[fan_out, fan_in] float32, uniform within +-sqrt(3 / ((fan_in + fan_out) / 2)) (Glorot and Bengio, 2010)."""
    limit = math.sqrt(3.0 / ((fan_in + fan_out) / 2.0))
    return np.random.default_rng(seed).uniform(-limit, limit, (fan_out, fan_in)).astype(np.float32)


def embedding_table(vocab_size: int, hidden_size: int, deviation: float, seed: int, pad_index: int = 0) -> np.ndarray:
    """[vocab_size, hidden_size] float32, normal with the given deviation (0: 1/sqrt(hidden_size)), zero for <pad>."""
    table = np.random.default_rng(seed).normal(0.0, deviation or hidden_size**-0.5, (vocab_size, hidden_size))
    table[pad_index] = 0.0
    return table.astype(np.float32)
