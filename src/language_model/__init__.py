"""Masking: what the encoder sees of a sentence and what the decoder predicts.

All language models take and return numpy arrays and are deterministic given a random number generator.

fragment_language_model       what the pre-training objectives have in common: one fragment is masked and predicted
mass_language_model           the MASS objective
masked_language_model         MASS with every token of the fragment masked
loose_masked_language_model   the objective of the released code, which predicts one token more
noise_channel_language_model  masks tokens on the source side of pairs
random_numbers                the interface of the random number generator

To add a pre-training objective, write a subclass of FragmentLanguageModel in a file of this package, add it to
FRAGMENT_LANGUAGE_MODELS below, and add its name to the choices of the configuration key dataset_config.language_model.
"""
from config.config import DatasetConfig
from config.registry import registry
from src.language_model.fragment_language_model import FragmentLanguageModel
from src.language_model.loose_masked_language_model import LooseMaskedLanguageModel
from src.language_model.masked_language_model import MaskedLanguageModel
from src.language_model.mass_language_model import MassLanguageModel
from src.language_model.noise_channel_language_model import NoiseChannelLanguageModel

FRAGMENT_LANGUAGE_MODELS: dict[str, type[FragmentLanguageModel]] = registry(DatasetConfig, "language_model", {
    "mass": MassLanguageModel,
    "loose": LooseMaskedLanguageModel,
    "masked": MaskedLanguageModel,
})
"""The pre-training objective for each choice of dataset_config.language_model."""

__all__ = ["FRAGMENT_LANGUAGE_MODELS", "FragmentLanguageModel", "LooseMaskedLanguageModel", "MaskedLanguageModel",
           "MassLanguageModel", "NoiseChannelLanguageModel"]
