"""Initial values of the weights, as numpy arrays that depend on a seed alone."""
import math

import numpy as np


def uniform_weights(fan_out: int, fan_in: int, init_seed: int) -> np.ndarray:
    """Return [fan_out, fan_in] float32, uniform in +-sqrt(3 / ((fan_in + fan_out) / 2)) (Glorot and Bengio, 2010)."""
    limit = math.sqrt(3.0 / ((fan_in + fan_out) / 2.0))
    return np.random.default_rng(init_seed).uniform(-limit, limit, (fan_out, fan_in)).astype(np.float32)


def embedding_table(vocab_size: int, hidden_size: int, deviation: float, init_seed: int,
                    pad_index: int = 0) -> np.ndarray:
    """Return [vocab_size, hidden_size] float32, normal, with the row of <pad> zero.

    `deviation` is the standard deviation; 0 stands for 1 / sqrt(hidden_size).
    """
    table = np.random.default_rng(init_seed).normal(0.0, deviation or hidden_size**-0.5, (vocab_size, hidden_size))
    table[pad_index] = 0.0
    return table.astype(np.float32)
