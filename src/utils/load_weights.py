"""Files of weights: reads `.safetensors`, averaged `.npz` and MindSpore's `.ckpt`, writes the first two."""
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from crc32c import crc32c

from src.common.array_files import read_npz, write_npz
from src.common.errors import MassError, UsageError
from src.common.files import atomic_output, require_file
from src.common.json_files import parse_json
from src.common.named_files import file_named
from src.utils.dictionary import VOCABULARY_ENDING

METADATA_ENTRY, CHECKSUM_ENTRY = "__metadata__", "crc32c"
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
    checked: bool = False  # against a checksum in the file


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
    """Write a `.safetensors` or `.npz` file, completely or not at all; it holds a checksum of arrays and metadata."""
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}  # scalars stay scalars
    text = json.dumps(metadata)
    entries = {METADATA_ENTRY: text, CHECKSUM_ENTRY: str(_checksum(arrays, text))}
    with atomic_output(path) as temporary:
        if path.endswith(".npz"):
            write_npz(temporary, {**arrays, METADATA_ENTRY: np.array(json.dumps(entries))})
        else:
            _write_safetensors(temporary, arrays, entries)


def _write_safetensors(path: str, arrays: dict[str, np.ndarray], entries: dict[str, str]) -> None:
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        save_file(arrays, path, metadata=entries)
    except SafetensorError as error:  # it has the number of the system's error in its text only
        number = re.search(r"os error (\d+)", str(error))
        if not number:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), path) from error


def _checksum(arrays: Mapping[str, np.ndarray], metadata: str) -> int:
    """Return the CRC-32C of the names, types, shapes and values of all arrays, and of the metadata."""
    checksum = crc32c(metadata.encode())
    for name in sorted(arrays):
        array = arrays[name]
        checksum = crc32c(repr((name, array.dtype.str, array.shape)).encode(), checksum)
        if array.size:
            checksum = crc32c(memoryview(np.ascontiguousarray(array)).cast("B"), checksum)
    return checksum


def _ending(path: str) -> str:
    """Return the ending of a weights file that exists, one of READERS."""
    require_file(path, "checkpoint")
    ending = os.path.splitext(path)[1]
    if ending not in READERS:
        raise UsageError(f"checkpoint {path!r} must end in one of {', '.join(READERS)}")
    return ending


def _load_safetensors(path: str) -> Weights:
    try:
        with _open_safetensors(path) as stream:
            arrays = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
            return _checked(path, arrays, stream.metadata() or {})
    except Exception as error:  # the package raises many kinds for damaged files
        raise _damaged(path, error) from error


def _safetensors_metadata(path: str) -> dict[str, Any]:
    try:
        with _open_safetensors(path) as stream:
            return _parse_metadata((stream.metadata() or {}).get(METADATA_ENTRY, "{}"))
    except Exception as error:
        raise _damaged(path, error) from error


def _open_safetensors(path: str) -> Any:
    from safetensors import safe_open

    return safe_open(path, framework="numpy")


def _load_npz(path: str) -> Weights:
    try:
        arrays, text = read_npz(path, METADATA_ENTRY)
        return _checked(path, arrays, _npz_entries(text))
    except (ValueError, OSError) as error:
        raise _damaged(path, error) from error


def _npz_metadata(path: str) -> dict[str, Any]:
    try:
        _, text = read_npz(path, METADATA_ENTRY, only_text=True)
        return _parse_metadata(_npz_entries(text).get(METADATA_ENTRY, "{}"))
    except (ValueError, OSError) as error:
        raise _damaged(path, error) from error


def _npz_entries(text: str | None) -> dict[str, str]:
    """Return the entries that a `.safetensors` file has beside its arrays; earlier `.npz` hold the metadata alone."""
    content = parse_json(text) if text else {}
    if isinstance(content, dict) and METADATA_ENTRY in content:
        return content
    return {METADATA_ENTRY: text} if text else {}


def _checked(path: str, arrays: dict[str, np.ndarray], entries: dict[str, str]) -> Weights:
    """Return the weights after comparing their checksum.

    Files of earlier versions and of other programs have none. An entry with a damaged name is not taken for one of
    another program.

    Raises:
        ValueError: the checksum differs, or the entries are neither ours nor those of another program.
    """
    ours = {METADATA_ENTRY, CHECKSUM_ENTRY}
    if entries.keys() & ours and not (METADATA_ENTRY in entries and entries.keys() <= ours):
        raise ValueError("its metadata has other entries than this program writes")
    text = entries.get(METADATA_ENTRY, "{}")
    checksum = entries.get(CHECKSUM_ENTRY)
    if checksum is not None and checksum != str(_checksum(arrays, text)):
        raise ValueError("its checksum differs")
    return Weights(path, arrays, _parse_metadata(text), checksum is not None)


def _load_ckpt(path: str) -> Weights:
    import mindspore

    try:
        parameters = mindspore.load_checkpoint(path)
        return Weights(path, {name: parameter.asnumpy() for name, parameter in parameters.items()})
    except Exception as error:  # MindSpore and protobuf raise many kinds for damaged files
        raise _damaged(path, error) from error


def _parse_metadata(text: str) -> dict[str, Any]:
    metadata = parse_json(text, finite=False, paths=True)
    if not isinstance(metadata, dict):
        raise ValueError("its metadata is not an object")
    vocabulary = metadata.get("vocabulary")
    if vocabulary is not None and not (
            isinstance(vocabulary, dict) and vocabulary.keys() >= VOCABULARY_KEYS and type(vocabulary["size"]) is int
            and isinstance(vocabulary["fingerprint"], str)):
        raise ValueError("its metadata does not describe the vocabulary")
    return metadata


def _damaged(path: str, error: Exception) -> MassError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return MassError(f"checkpoint {path!r} cannot be read ({reason}): it is damaged or not a weights file; "
                     f"use another checkpoint")


READERS = {".safetensors": _load_safetensors, ".npz": _load_npz, ".ckpt": _load_ckpt}
METADATA_READERS = {".safetensors": _safetensors_metadata, ".npz": _npz_metadata, ".ckpt": None}
