"""Sinusoidal position encodings."""
import numpy as np
from mindspore import Tensor


def sinusoids(length: int, hidden_size: int) -> np.ndarray:
    """Return [length, hidden_size] float32: [all sines | all cosines] of position * 10000^(-i / (hidden_size / 2 - 1)).

    This is the layout of tensor2tensor, which MASS follows; Vaswani et al. (2017, 3.5) interleave sines and cosines.
    """
    half = hidden_size // 2
    inverse_timescales = 10000.0 ** (-np.arange(half) / max(half - 1, 1))
    angles = np.arange(length)[:, None] * inverse_timescales
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


class PositionalEmbedding:
    """The encodings of the positions 0 to max_positions - 1, [max_positions, hidden_size]. They are not trained."""

    def __init__(self, max_positions: int, hidden_size: int):
        self.encodings = Tensor(sinusoids(max_positions, hidden_size))
