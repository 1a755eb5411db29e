"""The MASS objective (Song et al., 2019, 3.2)."""
import numpy as np

from src.language_model.fragment_language_model import FragmentLanguageModel
from src.language_model.random_numbers import RandomNumbers
from src.utils.dictionary import MASK_INDEX, SPECIAL_TOKENS


class MassLanguageModel(FragmentLanguageModel):
    """The encoder sees each hidden symbol as <mask> (80%), a random word (10%) or unchanged (10%), drawn independently.

    The decoder's input is the true fragment shifted by one, not otherwise corrupted.
    """

    def corrupt(self, ids: np.ndarray, generator: RandomNumbers) -> np.ndarray:
        draw = generator.random(ids.shape)
        random_words = generator.integers(len(SPECIAL_TOKENS), self.vocab_size, ids.shape, dtype=np.int32)
        return np.where(draw < 0.8, MASK_INDEX, np.where(draw < 0.9, random_words, ids))
