"""The files of a trained model: found, described and checked before MindSpore is imported."""
import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from config.config import Config
from config.loading import config_from_dict
from src.text.text_processing import TextProcessing
from src.utils.dictionary import Dictionary
from src.common.errors import MassError, UsageError
from src.common.files import require_file
from src.utils.load_weights import READERS, read_metadata, vocabulary_path

BEST_FIRST = ("best.safetensors", "latest.safetensors")
"""Which weights stand for a folder: the best by validation, or else the latest."""


@dataclass(frozen=True)
class ModelFiles:
    """Weights, and what is needed to run them."""

    checkpoint: str
    step: Any  # of the training, or those that were averaged; None if the file does not say
    config: Config  # vocab_size is that of the vocabulary
    vocabulary: Dictionary
    vocabulary_path: str

    @property
    def vocabulary_description(self) -> dict[str, str | int]:
        """As records and checkpoints describe it."""
        return {"file": os.path.basename(self.vocabulary_path), "size": len(self.vocabulary),
                "fingerprint": self.vocabulary.fingerprint}


def find_model(config: Config | None = None, checkpoint: str | None = None, vocabulary: str | None = None,
               overrides: Sequence[str] = ()) -> ModelFiles:
    """Put together what the flags of eval.py name; what they leave out is taken from beside the checkpoint.

    Args:
        config: None takes the configuration that the checkpoint was trained with, with `overrides` (`node.key=value`).
        checkpoint: a weights file or a folder of checkpoints; None takes checkpoint_options.existed_ckpt.
        vocabulary: path; None takes the vocabulary that the checkpoint names.

    Raises:
        UsageError: one of them is not named anywhere, or the configuration is impossible.
        MassError: one of them is missing or damaged.
    """
    if vocabulary:
        require_file(vocabulary, "vocabulary")
    if not checkpoint and not config:
        raise UsageError("no model is named: give --ckpt (a folder of checkpoints, or one of them), or --config")
    if not checkpoint and not config.checkpoint_options.existed_ckpt:
        raise UsageError("checkpoint_options.existed_ckpt is empty: set it to the weights to evaluate, or give --ckpt")
    path = find_checkpoint(checkpoint or config.checkpoint_options.existed_ckpt)
    metadata = read_metadata(path)
    config = config or _trained_config(path, metadata, overrides)
    vocabulary = vocabulary or _trained_vocabulary(path, metadata)
    symbols = Dictionary.load_from_persisted_dict(vocabulary)
    options = dataclasses.replace(config.checkpoint_options, existed_ckpt=path)
    return ModelFiles(path, metadata.get("step"),
                      _with_vocabulary(dataclasses.replace(config, checkpoint_options=options), symbols, vocabulary),
                      symbols, vocabulary)


def find_checkpoint(path: str) -> str:
    """A weights file, or that of a folder which stands for it.

    Raises:
        MassError: there is none.
    """
    if not os.path.isdir(path):
        return require_file(path, "checkpoint")
    for name in BEST_FIRST:
        if os.path.isfile(os.path.join(path, name)):
            return os.path.join(path, name)
    others = sorted(name for name in os.listdir(path)
                    if os.path.splitext(name)[1] in READERS and ".state." not in name)
    hint = f"name one of its files: {', '.join(others[:5])}" if others else "it holds no weights at all; name the " \
                                                                         "checkpoint_options.ckpt_path of a training"
    raise MassError(f"checkpoint folder {path!r} holds neither {' nor '.join(BEST_FIRST)}: {hint}")


def find_text_processing(checkpoint: str) -> TextProcessing | None:
    """What stands beside a checkpoint; or, for an average in a folder of its own, beside its vocabulary.

    None if there is nothing. Raises MassError as `TextProcessing.load` and `read_metadata` do.
    """
    found = TextProcessing.load(os.path.dirname(checkpoint))
    vocabulary = vocabulary_path(checkpoint, read_metadata(checkpoint))
    return found or (TextProcessing.load(os.path.dirname(vocabulary)) if vocabulary else None)


def _trained_config(path: str, metadata: dict[str, Any], overrides: Sequence[str]) -> Config:
    if "config" not in metadata:
        raise UsageError(f"checkpoint {path!r} does not say with which configuration it was trained: give --config")
    try:
        config_from_dict(metadata["config"])
    except UsageError as error:
        raise UsageError(f"the configuration in checkpoint {path!r}: {error}; give --config if it is of another "
                         f"version") from error
    return config_from_dict(metadata["config"], overrides)


def _trained_vocabulary(path: str, metadata: dict[str, Any]) -> str:
    found = vocabulary_path(path, metadata)
    if not found:
        raise UsageError(f"checkpoint {path!r} does not say which vocabulary it was trained with: give --vocab")
    if not os.path.isfile(found):
        raise MassError(f"the vocabulary {found!r} of checkpoint {path!r} is missing: put it back, or name it with "
                        f"--vocab")
    return found


def _with_vocabulary(config: Config, vocabulary: Dictionary, path: str) -> Config:
    model = config.model_config
    if model.vocab_size not in (0, len(vocabulary)):
        raise UsageError(f"model_config.vocab_size is {model.vocab_size}, but the vocabulary {path!r} has "
                         f"{len(vocabulary)} symbols: set it to {len(vocabulary)}, or to 0, or name another vocabulary")
    return dataclasses.replace(config, model_config=dataclasses.replace(model, vocab_size=len(vocabulary)))
