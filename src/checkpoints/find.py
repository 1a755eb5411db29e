"""Finding a trained model: its weights, configuration, vocabulary and text processing, before MindSpore is imported."""
import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from config.config import Config
from config.loading import config_from_dict
from src.checkpoints.compatibility import VocabularyUse, with_vocabulary_size
from src.checkpoints.files import BEST, LATEST, is_weights_file, require_weights_name
from src.common.errors import MassError, UsageError
from src.common.files import require_file
from src.text.text_processing import TextProcessing
from src.utils.dictionary import Dictionary
from src.utils.load_weights import read_metadata, stored_vocabulary_path


@dataclass(frozen=True)
class ModelFiles:
    """The weights of a model, and what is needed to run it."""

    checkpoint: str
    step: Any  # of the training; of averaged weights a list; None if the file does not say
    config: Config  # vocab_size is that of the vocabulary
    vocabulary: Dictionary
    vocabulary_path: str

    @property
    def vocabulary_description(self) -> dict[str, str | int]:
        """The vocabulary as records and checkpoints describe it."""
        return {"file": os.path.basename(self.vocabulary_path), "size": len(self.vocabulary),
                "fingerprint": self.vocabulary.fingerprint}

    @property
    def vocabulary_use(self) -> VocabularyUse:
        """The vocabulary, for comparison with that of other files."""
        return VocabularyUse(f"the model {self.checkpoint!r}", self.vocabulary_path, len(self.vocabulary),
                             self.vocabulary.fingerprint)


def find_model(config: Config | None = None, checkpoint: str | None = None, vocabulary: str | None = None,
               overrides: Sequence[str] = ()) -> ModelFiles:
    """Find the files of a model; what is not named is taken from the checkpoint.

    Args:
        config: None uses the configuration that the checkpoint was trained with, with `overrides` (`node.key=value`).
        checkpoint: a weights file or a folder of checkpoints; None uses checkpoint_options.existed_ckpt.
        vocabulary: the path of a vocabulary; None uses the vocabulary that the checkpoint names.

    Raises:
        UsageError: one of them is named nowhere, or the configuration is not valid.
        MassError: one of the files is missing or damaged.
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
    dictionary = Dictionary.load_from_persisted_dict(vocabulary)
    options = dataclasses.replace(config.checkpoint_options, existed_ckpt=path)
    config = with_vocabulary_size(dataclasses.replace(config, checkpoint_options=options), len(dictionary),
                                  f"the vocabulary {vocabulary!r}")
    return ModelFiles(path, metadata.get("step"), config, dictionary, vocabulary)


def find_checkpoint(path: str) -> str:
    """Return `path` if it is a file; of a folder, the path of its `best` weights or else of its `latest`.

    Raises:
        UsageError: the file is an optimizer state.
        MassError: the file does not exist, or the folder has neither.
    """
    if not os.path.isdir(path):
        require_weights_name(path)
        return require_file(path, "checkpoint")
    for name in (BEST, LATEST):
        if os.path.isfile(os.path.join(path, name)):
            return os.path.join(path, name)
    others = sorted(filter(is_weights_file, os.listdir(path)))
    hint = (f"name one of its files: {', '.join(others[:5])}" if others else
            "it holds no weights at all; name the checkpoint_options.ckpt_path of a training run")
    raise MassError(f"checkpoint folder {path!r} holds neither {BEST} nor {LATEST}: {hint}")


def find_text_processing(checkpoint: str) -> TextProcessing | None:
    """Find the text processing of a model, which is described beside its checkpoint; None if it is not.

    Raises:
        MassError: the description is damaged.
    """
    return TextProcessing.load(os.path.dirname(checkpoint))


def _trained_config(path: str, metadata: dict[str, Any], overrides: Sequence[str]) -> Config:
    if "config" not in metadata:
        raise UsageError(f"checkpoint {path!r} does not say with which configuration it was trained: give --config")
    try:
        trained = dataclasses.asdict(config_from_dict(metadata["config"]))
    except UsageError as error:
        raise UsageError(f"the configuration in checkpoint {path!r}: {error}; give --config if it is of another "
                         f"version") from error
    trained["model_config"]["save_graphs"] = False  # whoever made the checkpoint does not choose what is written here
    return config_from_dict(trained, overrides)


def _trained_vocabulary(path: str, metadata: dict[str, Any]) -> str:
    found = stored_vocabulary_path(path, metadata)
    if not found:
        raise UsageError(f"checkpoint {path!r} does not say which vocabulary it was trained with: give --vocab")
    if not os.path.isfile(found):
        raise MassError(f"the vocabulary {found!r} of checkpoint {path!r} is missing: restore it, or name it with "
                        f"--vocab")
    return found
