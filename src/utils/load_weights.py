"""Files of weights: reads `.safetensors`, averaged `.npz` and MindSpore's `.ckpt`, writes the first two."""
import json
import os
import re
import zipfile
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from src.common.array_files import write_npz
from src.common.errors import MassError, UsageError
from src.common.files import atomic_output, require_file
from src.common.named_files import file_named
from src.utils.dictionary import VOCABULARY_ENDING

METADATA_ENTRY = "__metadata__"
VOCABULARY_KEYS = {"file", "size", "fingerprint"}


@dataclass
class Weights:
    """The content of a weights file: arrays by name, and metadata.

    In files of this program, `metadata` holds `step`, `vocabulary` (file, size, fingerprint) and `config`; it is empty
    for a `.ckpt`, which cannot store it.
    """

    path: str
    arrays: dict[str, np.ndarray]
    metadata: dict[str, Any] = field(default_factory=dict)


def load_weights(path: str) -> Weights:
    """Read a weights file; its ending says which format it has.

    Raises:
        MassError: the file is missing, damaged or not a weights file.
        UsageError: the name has none of the three endings.
    """
    return READERS[_ending(path)](path)


def read_metadata(path: str) -> dict[str, Any]:
    """Read the metadata of a weights file without its arrays; empty for a `.ckpt`.

    Raises:
        MassError: the file is missing, damaged or not a weights file.
        UsageError: the name has none of the three endings.
    """
    reader = METADATA_READERS[_ending(path)]
    return reader(path) if reader else {}


def stored_vocabulary_path(path: str, metadata: dict[str, Any]) -> str | None:
    """Return the path of the vocabulary that a weights file names, beside it; None if its metadata names none.

    Raises:
        MassError: the metadata names something other than a file in the folder of the weights.
    """
    vocabulary = metadata.get("vocabulary")
    return file_named(vocabulary["file"], path, "the vocabulary", VOCABULARY_ENDING) if vocabulary else None


def save_weights(path: str, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
    """Write a `.safetensors` or `.npz` file, completely or not at all."""
    with atomic_output(path) as temporary:
        if path.endswith(".npz"):
            write_npz(temporary, {**arrays, METADATA_ENTRY: np.array(json.dumps(metadata))})
        else:
            from safetensors import SafetensorError
            from safetensors.numpy import save_file

            # np.ascontiguousarray would turn scalars into vectors.
            try:
                save_file({name: np.asarray(array, order="C") for name, array in arrays.items()}, temporary,
                          metadata={METADATA_ENTRY: json.dumps(metadata)})
            except SafetensorError as error:  # it has the number of the system's error in its text only
                number = re.search(r"os error (\d+)", str(error))
                if not number:
                    raise
                raise OSError(int(number[1]), os.strerror(int(number[1])), path) from error


def _ending(path: str) -> str:
    """Return the ending of a weights file that exists, one of READERS."""
    require_file(path, "checkpoint")
    ending = os.path.splitext(path)[1]
    if ending not in READERS:
        raise UsageError(f"checkpoint {path!r} must end in one of {', '.join(READERS)}")
    return ending


def _load_safetensors(path: str) -> Weights:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as stream:
            metadata = _parse_metadata((stream.metadata() or {}).get(METADATA_ENTRY, "{}"))
            return Weights(path, {name: stream.get_tensor(name) for name in stream.keys()}, metadata)  # noqa: SIM118
    except (SafetensorError, ValueError) as error:
        raise _damaged(path, error) from error


def _safetensors_metadata(path: str) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as stream:
            return _parse_metadata((stream.metadata() or {}).get(METADATA_ENTRY, "{}"))
    except (SafetensorError, ValueError) as error:
        raise _damaged(path, error) from error


def _load_npz(path: str) -> Weights:
    try:
        with np.load(path, allow_pickle=False) as stream:
            arrays = {name: stream[name] for name in stream.files}
        metadata = _parse_metadata(str(arrays.pop(METADATA_ENTRY, "{}")))
        return Weights(path, arrays, metadata)
    except (ValueError, OSError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise _damaged(path, error) from error


def _npz_metadata(path: str) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as stream:
            return _parse_metadata(str(stream[METADATA_ENTRY]) if METADATA_ENTRY in stream.files else "{}")
    except (ValueError, OSError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise _damaged(path, error) from error


def _load_ckpt(path: str) -> Weights:
    import mindspore

    try:
        parameters = mindspore.load_checkpoint(path)
    except (ValueError, RuntimeError, OSError) as error:
        raise _damaged(path, error) from error
    return Weights(path, {name: parameter.asnumpy() for name, parameter in parameters.items()})


def _parse_metadata(text: str) -> dict[str, Any]:
    metadata = json.loads(text)
    if not isinstance(metadata, dict):
        raise ValueError("its metadata is not an object")
    vocabulary = metadata.get("vocabulary")
    if vocabulary is not None and not (isinstance(vocabulary, dict) and vocabulary.keys() >= VOCABULARY_KEYS):
        raise ValueError("its metadata does not describe the vocabulary")
    return metadata


def _damaged(path: str, error: Exception) -> MassError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return MassError(f"checkpoint {path!r} cannot be read ({reason}): it is damaged or not a weights file; "
                     f"use another checkpoint")


READERS = {".safetensors": _load_safetensors, ".npz": _load_npz, ".ckpt": _load_ckpt}
METADATA_READERS = {".safetensors": _safetensors_metadata, ".npz": _npz_metadata, ".ckpt": None}
