"""The files of a run folder that describe the model, besides its weights: the vocabulary and how text is processed."""
import os
from typing import Any

from src.common.errors import MassError
from src.common.files import copy_atomically, file_digest
from src.common.named_files import file_named
from src.text.text_processing import TEXT_FILE, TextProcessing
from src.utils.dictionary import VOCABULARY_ENDING
from src.utils.load_weights import stored_vocabulary_path


def keep_vocabulary(name: Any, source: str, folder: str) -> None:
    """Copy the vocabulary `source` into a run folder under the name that checkpoints and records give it.

    A file of that name with another content is replaced.

    Raises:
        MassError: the name is not a plain file name.
    """
    destination = file_named(name, os.path.join(folder, "."), "the vocabulary", VOCABULARY_ENDING)
    if not (os.path.isfile(destination) and file_digest(destination) == file_digest(source)):
        copy_atomically(source, destination)


def copy_descriptions(checkpoint: str, metadata: dict[str, Any], folder: str) -> None:
    """Copy what describes the model of a checkpoint into another folder, as far as it is there.

    Raises:
        MassError: the folder holds the vocabulary or the text processing of another model.
    """
    if os.path.realpath(os.path.dirname(checkpoint)) == os.path.realpath(folder):
        return
    advice = "is that of another model: write to another folder"
    vocabulary = stored_vocabulary_path(checkpoint, metadata)
    kept = vocabulary and os.path.join(folder, os.path.basename(vocabulary))
    if kept and os.path.isfile(vocabulary) and os.path.lexists(kept) and not _same(vocabulary, kept):
        raise MassError(f"{kept!r} {advice}")
    text, present = TextProcessing.load(os.path.dirname(checkpoint)), TextProcessing.load(folder)
    if text and present and not text.same_as(present):
        raise MassError(f"{os.path.join(folder, TEXT_FILE)!r} {advice}")
    if kept and os.path.isfile(vocabulary):
        keep_vocabulary(metadata["vocabulary"]["file"], vocabulary, folder)
    if text and not present:
        text.save(folder)


def _same(one: str, other: str) -> bool:
    return os.path.isfile(other) and file_digest(one) == file_digest(other)
