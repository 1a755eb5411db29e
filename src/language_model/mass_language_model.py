"""The MASS objective (Song et al., 2019, https://arxiv.org/abs/1905.02450, section 3.2)."""
import numpy as np

from src.language_model.fragment_language_model import FragmentLanguageModel
from src.language_model.random_numbers import RandomNumbers
from src.utils.dictionary import MASK_INDEX, SPECIAL_TOKENS


class MassLanguageModel(FragmentLanguageModel):
    """Replaces each token of the fragment by <mask> (80%) or a random token (10%), or leaves it unchanged (10%).

    Each position is drawn independently. The decoder's input is the true fragment shifted by one, without other
    corruption.
    """

    def corrupt(self, ids: np.ndarray, generator: RandomNumbers) -> np.ndarray:
        draw = generator.random(ids.shape)
        random_tokens = generator.integers(len(SPECIAL_TOKENS), self.vocab_size, ids.shape, dtype=np.int32)
        return np.where(draw < 0.8, MASK_INDEX, np.where(draw < 0.9, random_tokens, ids))
