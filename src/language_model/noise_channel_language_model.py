"""Masking of the source side of pairs."""
import numpy as np

from src.language_model.random_numbers import RandomNumbers
from src.utils.dictionary import EOS_INDEX, MASK_INDEX, PAD_INDEX


class NoiseChannelLanguageModel:
    """Replaces each source token except </s> by <mask> with probability `noise_prob`."""

    def __init__(self, noise_prob: float):
        self.noise_prob = noise_prob

    def __call__(self, source_ids: np.ndarray, generator: RandomNumbers) -> np.ndarray:
        """Return the ids, [batch, source_len] int32, with noise."""
        tokens = (source_ids != PAD_INDEX) & (source_ids != EOS_INDEX)
        noisy = tokens & (generator.random(source_ids.shape) < self.noise_prob)
        return np.where(noisy, MASK_INDEX, source_ids).astype(np.int32)
