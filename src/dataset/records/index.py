"""The index of a data set: its examples as flat arrays beside the records, so that opening it requires no parsing.

The folder `name.tfrecord.index` holds `header.json` and three files per column: `<column>.values.npy` (the ids end to
end; uint16, which is half the size, if the ids of the vocabulary fit, else int32), `<column>.offsets.npy` (int64) and
`<column>.lengths.npy` (int32). The arrays are mapped into memory, not read: only the examples that batches use are ever
loaded, and processes share them.

Checksums of the records are compared when an index is built from them. After that, the index is valid as long as the
records are those it was made from, judged by the checksums in their description and by the sizes and modification times
of the files. The arrays of the index have checksums of their own, which are compared when a process first opens them.
An index that is not valid is built again; it can be deleted at any time.
"""
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np

from src.common.array_files import read_npy
from src.common.json_files import describe_error, read_json
from src.common.progress import say
from src.common.ragged import RaggedArray
from src.dataset.records.files import file_checksum, files_of, index_path
from src.dataset.records.info import RecordInfo
from src.dataset.records.sequences import check_sequences

_FORMAT_VERSION = 2
_MAX_HEADER_BYTES = 1 << 20
_HEADER = "header.json"
MAPPED_BYTES = 1 << 20  # smaller arrays are read: a mapped array needs an open file, and there may be many data sets

_intact: set[tuple[tuple[Any, ...], ...]] = set()
"""The states of arrays that this process has checked."""


class IndexWriter:
    """Writes the index of a data set into a new folder while the examples are written. It is a context manager."""

    def __init__(self, folder: str, columns: Sequence[str], vocabulary_size: int):
        os.makedirs(folder)
        self.folder = folder
        kinds = {"values": values_type(vocabulary_size), "offsets": np.dtype(np.int64), "lengths": np.dtype(np.int32)}
        self._files = {(column, kind): _ArrayFile(_array_path(folder, column, kind), dtype)
                       for column in columns for kind, dtype in kinds.items()}
        self._ends = dict.fromkeys(columns, 0)
        for column in columns:
            self._files[column, "offsets"].append(np.zeros(1))

    def append(self, columns: Mapping[str, RaggedArray]) -> None:
        """Append examples."""
        for column, sequences in columns.items():
            self._files[column, "values"].append(sequences.values)
            self._files[column, "offsets"].append(sequences.offsets[1:] + self._ends[column])
            self._files[column, "lengths"].append(sequences.lengths)
            self._ends[column] += int(sequences.offsets[-1])

    def finish(self, checksums: Mapping[str, int], files: Mapping[str, str]) -> None:
        """Complete the index.

        Args:
            checksums: the CRC-32C of each record file, by the key that `files_of` gives it.
            files: the path of each record file, by the same key.
        """
        self.close()
        arrays = {os.path.basename(file.path): file_checksum(file.path) for file in self._files.values()}
        with open(os.path.join(self.folder, _HEADER), "w", encoding="utf-8") as stream:
            json.dump({**_header(checksums, files), "arrays": arrays}, stream)

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def __enter__(self) -> "IndexWriter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def open_index(path: str, info: RecordInfo) -> dict[str, RaggedArray] | None:
    """Return the columns of a data set from its index, or None if there is no valid index.

    Raises:
        FileNotFoundError: a record file is missing.
    """
    expected = _header(info.checksums, files_of(path, info.shards))
    try:
        header = read_json(os.path.join(index_path(path), _HEADER), _MAX_HEADER_BYTES)
        arrays = header.pop("arrays", None) if isinstance(header, dict) else None
        if header != expected:
            return None
        columns = map_arrays(index_path(path), info)
    except (OSError, ValueError):  # missing or damaged, or another process is replacing it
        return None
    try:
        _check_arrays(path, arrays, columns, info)
    except (OSError, ValueError) as error:
        say(f"{index_path(path)}: damaged ({describe_error(error)}); the index is made again from the records",
            sys.stderr)
        return None
    return columns


def _check_arrays(path: str, arrays: Any, columns: Mapping[str, RaggedArray], info: RecordInfo) -> None:
    """Check the arrays of an index, once for each state of its files in this process, because it reads them.

    Raises:
        ValueError: their checksums are not those in the header, or they do not fit the description or each other.
    """
    files = {os.path.basename(file): file for name in info.columns for file in _column_paths(index_path(path), name)}
    if not isinstance(arrays, dict) or arrays.keys() != files.keys() or set(map(type, arrays.values())) != {int}:
        raise ValueError("its header does not hold the checksums of its arrays")
    state = tuple((os.path.abspath(file), *_stamp(file), arrays[name]) for name, file in files.items())
    if state in _intact:
        return
    for name, file in files.items():
        if file_checksum(file) != arrays[name]:
            raise ValueError(f"the checksum of {name} differs")
    for name, column in columns.items():
        if len(column) != info.kept or len(column.values) != info.tokens[name]:
            raise ValueError(f"{name} is not of the size in the description")
        check_sequences(column, int(info.vocabulary["size"]))
    _intact.add(state)


def map_arrays(folder: str, info: RecordInfo) -> dict[str, RaggedArray]:
    """Return the columns that an index folder holds; they remain usable when the folder is moved or deleted."""
    return {column: RaggedArray(*map(_load, _column_paths(folder, column))) for column in info.columns}


def remove_index(path: str) -> None:
    """Remove the index of a data set, its header first, so that an incomplete index is never taken for a valid one."""
    folder = index_path(path)
    if os.path.isdir(folder):
        if os.path.exists(header := os.path.join(folder, _HEADER)):
            os.remove(header)
        shutil.rmtree(folder, ignore_errors=True)


def values_type(vocabulary_size: int) -> np.dtype:
    """Return the type in which ids are stored, the narrowest one that numpy handles at full speed."""
    return np.dtype(np.uint16 if vocabulary_size <= 1 << 16 else np.int32)


def _header(checksums: Mapping[str, int], files: Mapping[str, str]) -> dict[str, object]:
    stamps = {ending: list(_stamp(file)) for ending, file in files.items()}
    return {"format_version": _FORMAT_VERSION, "checksums": dict(checksums), "stamps": stamps}


def _stamp(path: str) -> tuple[int, int]:
    state = os.stat(path)
    return state.st_size, state.st_mtime_ns


def _column_paths(folder: str, column: str) -> list[str]:
    return [_array_path(folder, column, kind) for kind in ("values", "offsets", "lengths")]


def _array_path(folder: str, column: str, kind: str) -> str:
    return os.path.join(folder, f"{column}.{kind}.npy")


def _load(path: str) -> np.ndarray:
    mapped = os.path.getsize(path) > MAPPED_BYTES
    array = read_npy(path, mapped)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError("not a list of whole numbers")
    return array


class _ArrayFile:
    """A one-dimensional .npy file to which values are appended."""

    def __init__(self, path: str, dtype: np.dtype):
        self.path = path
        self._stream = open(path, "wb")  # noqa: SIM115 (closed by `close`)
        self._dtype = dtype
        self._count = 0
        self._write_header()

    def append(self, array: np.ndarray) -> None:
        self._stream.write(array.astype(self._dtype, copy=False).tobytes())
        self._count += len(array)

    def close(self) -> None:
        if not self._stream.closed:
            self._stream.seek(0)
            self._write_header()
            self._stream.close()

    def _write_header(self) -> None:
        """Write the header, which has the same length for any count: numpy leaves room for the largest."""
        description = {"descr": self._dtype.str, "fortran_order": False, "shape": (self._count,)}
        np.lib.format.write_array_header_1_0(self._stream, description)
