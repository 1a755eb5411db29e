"""The MASS objective without the 80/10/10 rule."""
import numpy as np

from src.language_model.fragment_language_model import FragmentLanguageModel
from src.language_model.random_numbers import RandomNumbers
from src.utils.dictionary import MASK_INDEX


class MaskedLanguageModel(FragmentLanguageModel):
    """Replaces every token of the fragment by <mask> on the encoder side; the decoder predicts exactly the fragment."""

    def corrupt(self, ids: np.ndarray, generator: RandomNumbers) -> np.ndarray:
        return np.full_like(ids, MASK_INDEX)
