"""The files that an exported folder holds in every format:

    export.json            what was exported: checkpoint, step, configuration, vocabulary
    README.md              the model card
    <name>.bin             the vocabulary
    text.json, codes-*.bpe how raw text is processed
"""
import dataclasses
import os
from typing import Any

from config.loading import config_from_dict
from src.common.errors import MassError, UsageError
from src.common.files import copy_atomically
from src.common.json_files import describe_error, read_json, write_json
from src.common.named_files import is_plain_name
from src.export.interface import ExportedModel
from src.utils.dictionary import VOCABULARY_ENDING
from src.utils.load_weights import VOCABULARY_KEYS, read_metadata

EXPORT_FILE = "export.json"
_FORMAT, _VERSION = "mass-export", 1


def write_shared_files(model: ExportedModel, name: str, folder: str) -> None:
    """Write the shared files except for the model card; `name` is that of the format."""
    files = model.files
    model.text.save(folder)
    vocabulary = {**files.vocabulary_description, "file": vocabulary_name(files.vocabulary_path)}
    copy_atomically(files.vocabulary_path, os.path.join(folder, vocabulary["file"]))
    config = dataclasses.asdict(files.config)
    config["checkpoint_options"]["existed_ckpt"] = trained_from(model)
    content = {"format": _FORMAT, "version": _VERSION, "exported_as": name, "quantize": model.quantize or None,
               "checkpoint": os.path.basename(files.checkpoint), "step": files.step,
               "vocabulary": vocabulary, "config": config}
    write_json(os.path.join(folder, EXPORT_FILE), content)


def vocabulary_name(path: str) -> str:
    """Return the name that a vocabulary has in a folder of ours; descriptions may only name files with this ending."""
    name = os.path.basename(path)
    return name if is_plain_name(name, VOCABULARY_ENDING) else f"vocabulary{VOCABULARY_ENDING}"


def trained_from(model: ExportedModel) -> str:
    """Return the path of the weights that the training of a model started from; empty if it started from new ones."""
    trained = read_metadata(model.files.checkpoint).get("config", {})
    return trained.get("checkpoint_options", {}).get("existed_ckpt", "")


def read_export_file(folder: str) -> dict[str, Any] | None:
    """Return the content of a folder's export.json, or None if it has none.

    Raises:
        MassError: the file is damaged or of another version.
    """
    path = os.path.join(folder, EXPORT_FILE)
    if not os.path.isfile(path):
        return None
    try:
        content = read_json(path, paths=True)
        if (content["format"], content["version"]) != (_FORMAT, _VERSION):
            raise ValueError(f"format {content['format']!r}, version {content['version']!r}")
        if not ({"config", "vocabulary", "step"} <= content.keys() and content["vocabulary"].keys() >= VOCABULARY_KEYS):
            raise ValueError("it lacks config, vocabulary or step")
        config_from_dict(content["config"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
        raise MassError(f"{path}: not a description of an exported model ({describe_error(error)}); restore "
                        f"it, or export the model again") from error
    return content
