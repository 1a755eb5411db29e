"""Reads the records of a data set, checks them against their description and builds the index beside them."""
import os
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import zip_longest

import numpy as np

from src.common.errors import MassError
from src.common.files import atomic_outputs
from src.common.progress import Progress, say
from src.common.ragged import RaggedArray
from src.dataset.records.files import file_checksum, files_of, index_path, info_path, record_format, shard_paths
from src.dataset.records.index import IndexWriter, map_arrays, open_index, remove_index, values_type
from src.dataset.records.info import RecordInfo
from src.dataset.records.mindrecord import read_mindrecord
from src.dataset.records.sequences import check_sequences
from src.dataset.records.tfrecord import read_tfrecord

BLOCK_SIZE = 16384  # examples read at a time: large enough for numpy to be efficient, small enough for little memory
_READERS = {"tfrecord": read_tfrecord, "mindrecord": read_mindrecord}


def read_columns(path: str, info: RecordInfo) -> dict[str, RaggedArray]:
    """Read a data set and build its index; if the index cannot be written, print why and read into memory.

    Processes that do this at the same time build equal indexes: each uses its own, and one of them is kept.

    Raises:
        MassError: the records are damaged or do not fit their description.
    """
    folder = os.path.dirname(path) or "."
    if os.access(folder, os.W_OK):
        try:
            return _build_index(folder, path, info)
        except OSError as error:  # the disk is full, or another process was faster
            if columns := open_index(path, info):
                return columns
            _say_once(folder, error.strerror or str(error))
    else:
        _say_once(folder, "the folder is not writable")
    return _read_into_memory(path, info)


def read_blocks(path: str, info: RecordInfo) -> Iterator[dict[str, RaggedArray]]:
    """Yield the examples of a data set in the order in which they were written, some thousands per block.

    Raises:
        MassError: the records are damaged or do not fit their description; it may be raised after the last block.
    """
    files = files_of(path, info.shards)
    as_described = all(file_checksum(file) == info.checksums[ending] for ending, file in files.items())
    changed = MassError(f"{path}: its content is not what its description {info_path(path)} was made for; the file is "
                        f"damaged or was replaced: make it again")
    if not as_described and record_format(path) == "mindrecord":
        raise changed  # a damaged file can crash MindSpore; the reader of TFRecord files names the damaged record
    block_size = max(1, BLOCK_SIZE // info.shards)
    read = _READERS[record_format(path)]
    shards = [read(shard, info.columns, block_size) for shard in shard_paths(path, info.shards)]
    found = 0
    with Progress(f"index {os.path.basename(path)}", info.kept, "examples") as progress:
        for blocks in zip_longest(*shards):
            block = _interleave([block for block in blocks if block is not None])
            _check_block(path, block, info, found)
            count = len(block[info.columns[0]])
            found += count
            progress.update(count)
            yield block
    if found != info.kept:
        raise MassError(f"{path}: holds {found:,} records, but according to its description {info_path(path)} there "
                        f"are {info.kept:,}; the file is incomplete or not the one described: make it again")
    if not as_described:
        raise changed


def _check_block(path: str, block: dict[str, RaggedArray], info: RecordInfo, found: int) -> None:
    """Raise a MassError if a block of examples, before which `found` were read, cannot be used with the vocabulary."""
    for name, column in block.items():
        try:
            check_sequences(column, int(info.vocabulary["size"]))
        except ValueError as error:
            raise MassError(f"{path}: {name} of the examples from {found + 1} on: {error}; the records were not made "
                            f"by this program, or with another vocabulary: make them again") from error


def _interleave(blocks: Sequence[dict[str, RaggedArray]]) -> dict[str, RaggedArray]:
    """Merge one block per shard into one: the first example of each block, then the second of each, and so on.

    The blocks have equally many examples, but the later ones may lack the last.
    """
    if len(blocks) == 1:
        return blocks[0]
    merged = {}
    for name in blocks[0]:
        parts = [block[name] for block in blocks]
        places = np.concatenate([np.arange(len(part)) * len(parts) + shard for shard, part in enumerate(parts)])
        merged[name] = RaggedArray.concatenate(parts).take(np.argsort(places))
    return merged


def _build_index(folder: str, path: str, info: RecordInfo) -> dict[str, RaggedArray]:
    with atomic_outputs(folder) as scratch:
        unfinished = index_path(os.path.join(scratch, os.path.basename(path)))
        with IndexWriter(unfinished, info.columns, int(info.vocabulary["size"])) as index:
            for block in read_blocks(path, info):
                index.append(block)
            index.finish(info.checksums, files_of(path, info.shards))
        columns = map_arrays(unfinished, info)  # they remain usable even if another process replaces the folder
        remove_index(path)
    return columns


def _read_into_memory(path: str, info: RecordInfo) -> dict[str, RaggedArray]:
    dtype = values_type(int(info.vocabulary["size"]))
    blocks = [{name: RaggedArray(column.values.astype(dtype), column.offsets) for name, column in block.items()}
              for block in read_blocks(path, info)]
    return {name: RaggedArray.concatenate([block[name] for block in blocks]) for name in info.columns}


@cache
def _say_once(folder: str, reason: str) -> None:
    say(f"{folder}: no index of the records can be written there ({reason}), so they are read into memory", sys.stderr)
