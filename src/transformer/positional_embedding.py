"""Sinusoidal position encodings."""
import numpy as np
from mindspore import Tensor


def sinusoids(length: int, hidden_size: int, encoding: str = "tensor2tensor") -> np.ndarray:
    """Return [length, hidden_size] float32: [all sines | all cosines] of position / wavelength.

    The wavelengths are 10000^(i / (hidden_size / 2 - 1)) with the encoding "tensor2tensor", the layout of that program,
    which MASS follows, and 10000^(2i / hidden_size) with "pegasus", as in Hugging Face's Pegasus. (Vaswani et al.,
    2017, 3.5, have the latter, but interleave sines and cosines.)
    """
    half = hidden_size // 2
    steps = half if encoding == "pegasus" else max(half - 1, 1)
    inverse_timescales = 10000.0 ** (-np.arange(half) / steps)
    angles = np.arange(length)[:, None] * inverse_timescales
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


class PositionalEmbedding:
    """The encodings of the positions 0 to max_positions - 1, [max_positions, hidden_size]. They are not trained."""

    def __init__(self, max_positions: int, hidden_size: int, encoding: str = "tensor2tensor"):
        self.encodings = Tensor(sinusoids(max_positions, hidden_size, encoding))
