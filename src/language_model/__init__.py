"""What to hide from whom: numpy arrays in, numpy arrays out, deterministic given a generator."""
from config.config import DatasetConfig
from config.registry import registry
from src.language_model.loose_masked_language_model import LooseMaskedLanguageModel
from src.language_model.masked_language_model import MaskedLanguageModel
from src.language_model.mass_language_model import MassLanguageModel
from src.language_model.noise_channel_language_model import NoiseChannelLanguageModel

FRAGMENT_LANGUAGE_MODELS = registry(DatasetConfig, "language_model", {
    "mass": MassLanguageModel,
    "loose": LooseMaskedLanguageModel,
    "masked": MaskedLanguageModel,
})

__all__ = ["FRAGMENT_LANGUAGE_MODELS", "LooseMaskedLanguageModel", "MaskedLanguageModel", "MassLanguageModel",
           "NoiseChannelLanguageModel"]
