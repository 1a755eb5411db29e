"""The objective of the code that was released with the paper."""
from src.language_model.masked_language_model import MaskedLanguageModel


class LooseMaskedLanguageModel(MaskedLanguageModel):
    """As MaskedLanguageModel, but the decoder predicts one symbol before the fragment too: x[u-1 .. u+k-1].

    That symbol is visible to the encoder. A fragment at the start of the sentence has none before it.
    """

    lead = 1
