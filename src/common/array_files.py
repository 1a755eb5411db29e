"""Files of arrays, `.npy` and `.npz`, read with limits: whatever such a file says, reading takes no more than its size.

numpy allocates what the header of an array asks for before it reads, and runs Python's parser on the header.
"""
import os
import zipfile
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np

from src.common.regular_files import open_regular

_MAX_ENTRIES = 100_000
_MAX_RATIO = 20  # of decompressed to compressed bytes; weights are hardly compressible


def read_npy(path: str, mapped: bool = False) -> np.ndarray:
    """Read an array, or map it into memory.

    Raises:
        OSError: the file cannot be opened, or is not a regular file.
        ValueError: it is not an array of numbers, or its size is not that of the array.
    """
    with open_regular(path) as stream:
        shape, dtype, fortran = _read_header(stream, os.fstat(stream.fileno()).st_size)
        if not mapped or 0 in shape:
            return np.fromfile(stream, dtype).reshape(shape, order="F" if fortran else "C")
        return np.asarray(np.memmap(stream, dtype, "r", stream.tell(), shape, "F" if fortran else "C"))


def read_npz(path: str, text_entry: str, only_text: bool = False) -> tuple[dict[str, np.ndarray], str | None]:
    """Read the arrays of an `.npz` file, and the text that the entry `text_entry` holds; None if there is none.

    With `only_text`, no array is read.

    Raises:
        OSError: the file cannot be opened, or is not a regular file.
        ValueError: it is not such a file, is damaged, or holds something else or more than its size allows.
    """
    arrays, text = {}, None
    with open_regular(path) as stream, _open_zip(stream) as archive:
        entries = archive.infolist()
        if len(entries) > _MAX_ENTRIES or len({entry.filename for entry in entries}) < len(entries):
            raise ValueError("it has too many entries, or one twice")
        if sum(entry.file_size for entry in entries) > _MAX_RATIO * os.fstat(stream.fileno()).st_size:
            raise ValueError("its entries are much larger than the file")
        for entry in entries:
            name = entry.filename.removesuffix(".npy")
            if only_text and name != text_entry:
                continue
            try:
                with archive.open(entry) as content:
                    shape, dtype, fortran = _read_header(content, entry.file_size, text=name == text_entry)
                    data = np.frombuffer(bytearray(content.read()), dtype)  # read to the end, where zip has a checksum
                array = data.reshape(shape, order="F" if fortran else "C")
            except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, *_DECOMPRESSION) as error:
                raise ValueError(str(error) or type(error).__name__) from error
            if name == text_entry:
                text = str(array)
                text.encode()  # a damaged one may hold what is no character
            else:
                arrays[name] = array
    return arrays, text


def write_npz(path: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an `.npz` file as `numpy.savez` does, which leaves an open file behind if the disk is full."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asanyarray(array), allow_pickle=False)


def _decompression_errors() -> tuple[type[Exception], ...]:
    import lzma
    import zlib

    return zlib.error, lzma.LZMAError


_DECOMPRESSION = _decompression_errors()


def _open_zip(stream: BinaryIO) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(stream)
    except Exception as error:  # a damaged directory makes it raise many kinds
        raise ValueError(f"not an .npz file ({error})") from error


def _read_header(stream: BinaryIO, size: int, text: bool = False) -> tuple[tuple[int, ...], np.dtype, bool]:
    """Return shape, type and order of an array of which the stream holds `size` bytes, header included."""
    try:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, fortran, dtype = read(stream)
    except Exception as error:  # the header is a Python expression, and numpy lets the errors of the parser through
        raise ValueError(f"not an array ({type(error).__name__})") from error
    if dtype.kind not in ("U" if text else "biuf") or (text and shape != ()):
        raise ValueError(f"it holds {dtype.name} values of shape {shape}")
    count = 1
    for length in shape:  # numbers of any size, so that the product cannot overflow
        count *= length
    if len(shape) > 32 or min(shape, default=0) < 0 or stream.tell() + count * dtype.itemsize != size:
        raise ValueError(f"its size is not that of an array of shape {shape}")
    return shape, dtype, fortran
