"""Writes and reads MindRecord files of integer sequences, with MindSpore's own writer and reader.

A MindRecord file `name` has an index `name.db` beside it, in which the name `name` (without its folder) is stored. The
two files must stay in the same folder and keep their names; the folder may be moved.

Importing MindSpore takes seconds and 0.5 GB of memory, so it is imported when such a file is first written or read. To
make the index of a file, MindSpore needs another 1.4 KB for each of its examples: large data sets are written in many
shards.
"""
import errno
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from urllib.parse import quote

from src.common.errors import MassError, UsageError
from src.common.interruption import importing_mindspore
from src.common.json_files import describe_error
from src.common.ragged import RaggedArray
from src.dataset.records.mindrecord_header import check_header

_REFUSED = set('\\/:*?"<>|`&;\'')  # as mindspore.mindrecord.core.shardutils.check_filename
FULL_BELOW = 1 << 20  # bytes; MindSpore asks for room in steps, so a little may be left on a full disk


def require_mindrecord_path(path: str) -> None:
    """Raise a UsageError for a path that MindSpore does not accept for a MindRecord file."""
    path = os.path.abspath(path)
    name = os.path.basename(path)
    if refused := "".join(sorted(_REFUSED & set(name))) or (name != name.strip(" ") and "spaces at the ends"):
        raise UsageError(f"{name!r} cannot be a MindRecord file, as MindSpore refuses {refused} in its name: rename "
                         f"the text file, or use --format tfrecord")
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{path!r} cannot be a MindRecord file, as MindSpore refuses paths that are not UTF-8: "
                         f"rename the file or the folder, or use --format tfrecord") from error


class MindRecordWriter:
    """Writes examples into n files, example i into file i mod n, and an index `path`.db for each file `path`.

    Every column is a sequence of int32.
    """

    def __init__(self, paths: Sequence[str], columns: Sequence[str]):
        with importing_mindspore():
            from mindspore.mindrecord import FileWriter

        self._paths = paths
        with self._translated_errors():
            self._writers = [FileWriter(path, shard_num=1, overwrite=True) for path in paths]
            for writer in self._writers:
                writer.add_schema({name: {"type": "int32", "shape": [-1]} for name in columns})
        self._written = 0

    def write(self, columns: Mapping[str, RaggedArray]) -> None:
        """Write examples; example i consists of sequence i of each column."""
        shards, count = len(self._writers), len(next(iter(columns.values())))
        for first in range(min(shards, count)):
            rows = [{name: sequences[index] for name, sequences in columns.items()}
                    for index in range(first, count, shards)]
            with self._translated_errors():
                self._writers[(self._written + first) % shards].write_raw_data(rows)
        self._written += count

    def close(self) -> None:
        with self._translated_errors():
            for writer in self._writers:
                writer.commit()

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """MindSpore raises a RuntimeError of many lines, which does not say that the disk is full."""
        try:
            yield
        except RuntimeError as error:
            disk = os.statvfs(os.path.dirname(self._paths[0]) or ".")
            if disk.f_bavail * disk.f_frsize < FULL_BELOW:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error  # atomic_outputs adds the name
            reason = str(error).strip().splitlines()[0]
            raise MassError(f"{self._names()}: MindSpore cannot write the records ({reason}); is the disk full, or is "
                            f"there a limit on the size of files? Use --format tfrecord if it is not") from error

    def _names(self) -> str:
        return ", ".join(map(os.path.basename, self._paths[:3]))


def read_mindrecord(path: str, columns: Sequence[str], block_size: int) -> Iterator[dict[str, RaggedArray]]:
    """Yield the examples of a file in order, in blocks of `block_size` (the last may be smaller).

    Compare the checksum of the file first: with some damaged files MindSpore ends the process without an exception.

    Raises:
        MassError: MindSpore cannot read the file or its index, or the file has other columns; the message names it.
    """
    require_mindrecord_path(path)
    with importing_mindspore():
        _check_stored_name(path)
    try:
        check_header(path, tuple(columns))
    except (OSError, ValueError) as error:
        raise MassError(f"{path}: damaged or not a MindRecord file ({describe_error(error)}); make it again") from error
    from mindspore.mindrecord import FileReader

    reader = None
    try:
        reader = FileReader(path, num_consumer=1, columns=list(columns))
        rows = reader.get_next()
        while block := list(islice(rows, block_size)):
            yield {name: RaggedArray.from_sequences(row[name] for row in block) for name in columns}
    except RuntimeError as error:  # MindSpore raises it for every fault of a file
        reason = str(error).strip().splitlines()[0]
        raise MassError(f"{path}: damaged or not a MindRecord file ({reason}); make it again") from error
    finally:
        if reader is not None:
            reader.close()


def _check_stored_name(path: str) -> None:
    """Raise a MassError unless the index of a file names that file: MindSpore opens whatever file is named there."""
    try:
        with closing(sqlite3.connect(f"file:{quote(os.path.abspath(path))}.db?mode=ro&immutable=1", uri=True)) as index:
            names = index.execute("SELECT NAME FROM SHARD_NAME LIMIT 2").fetchall()
    except (sqlite3.Error, ValueError) as error:  # a message of SQLite may not be UTF-8
        raise MassError(f"{path}.db: damaged or not an index of a MindRecord file ({error}); make it again") from error
    if names != [(os.path.basename(path),)]:
        stored = ascii(names[0][0])[:100] if names else "no file"
        raise MassError(f"{path}.db: it is the index of {stored}, not of {os.path.basename(path)!r}: MindRecord files "
                        f"keep the names under which they were made; give both files their old names, or make them "
                        f"again")
