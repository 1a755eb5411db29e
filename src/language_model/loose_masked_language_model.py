"""The objective of the code that was released with the MASS paper."""
from src.language_model.masked_language_model import MaskedLanguageModel


class LooseMaskedLanguageModel(MaskedLanguageModel):
    """Masks as MaskedLanguageModel does, but the decoder also predicts the token before the fragment: x[u-1 .. u+k-1].

    The encoder sees that token. A fragment at the start of the sentence has no token before it.
    """

    lead = 1
