"""The names of a data set's files, and which data sets a path or pattern stands for.

A data set `name.tfrecord` is the file of that name or, with n shards, the files `name-00000-of-0000n.tfrecord` and so
on. Example i of the data set is example i // n of shard i mod n. In both cases its description is `name.tfrecord.json`
and its index is the folder `name.tfrecord.index`. Each MindRecord file has a second file, `<file>.db`, beside it.
"""
import glob
import os
import re
from collections.abc import Sequence

from crc32c import crc32c

from src.common.arguments import split_paths
from src.common.errors import MassError
from src.common.files import require_file

RECORD_FORMATS = ("tfrecord", "mindrecord")
MAX_SHARDS = 512  # each is an open file while the records are written
_ENDINGS = tuple("." + name for name in RECORD_FORMATS)
_SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<shards>\d{5})")


def record_format(path: str) -> str:
    """Return the format of a record file, which its ending determines.

    Raises:
        MassError: the ending is neither .tfrecord nor .mindrecord.
    """
    ending = os.path.splitext(path)[1]
    if ending not in _ENDINGS:
        raise MassError(f"{path}: a record file's name ends with {' or '.join(_ENDINGS)}")
    return ending.removeprefix(".")


def info_path(path: str) -> str:
    """Return the path of the description of a data set."""
    return path + ".json"


def index_path(path: str) -> str:
    """Return the path of the index of a data set, a folder."""
    return path + ".index"


def shard_paths(path: str, shards: int) -> list[str]:
    """Return the paths of the record files of a data set."""
    stem, ending = os.path.splitext(path)
    return [path] if shards == 1 else [f"{stem}-{number:05}-of-{shards:05}{ending}" for number in range(shards)]


def files_of(path: str, shards: int) -> dict[str, str]:
    """Return all files that hold the examples of a data set: rest of the name after the data set's stem -> path."""
    stem = os.path.splitext(path)[0]
    endings = ("", ".db") if record_format(path) == "mindrecord" else ("",)
    files = [shard + ending for shard in shard_paths(path, shards) for ending in endings]
    return {file.removeprefix(stem): file for file in files}


def earlier_files(path: str) -> list[str]:
    """Return the existing files that hold examples of a data set, in any number of shards."""
    stem, ending = os.path.splitext(path)
    found = [path, *glob.glob(f"{glob.escape(stem)}-[0-9]*-of-[0-9]*{ending}")]
    return [file + extra for file in found if data_set_of(file) == path for extra in ("", ".db")
            if os.path.isfile(file + extra)]


def data_set_of(path: str) -> str:
    """Return the path of the data set that a record file, which may be one of several shards, belongs to."""
    stem, ending = os.path.splitext(path)
    shard = _SHARD.fullmatch(stem)
    return shard["stem"] + ending if shard else path


def find_data_sets(spec: str, what: str = "data set") -> list[str]:
    """Return the paths of the data sets that `spec` stands for; there is at least one.

    Args:
        spec: a file, several files separated by commas, a glob, or a folder.
        what: the role of the data, for error messages.

    Raises:
        UsageError: one of the comma-separated files is empty.
        MassError: there is no data set; a file is no regular file; or only some of the shards of a data set exist or
            are named.
    """
    parts = [spec] if os.path.exists(info_path(spec)) else split_paths(spec, what)  # of shards, spec need not exist
    files = [file for part in parts for file in _files_named(part, what)]
    if not files:
        raise MassError(f"{what}: no record file is named: give a file, several (comma-separated), a glob or a folder")
    shards: dict[str, set[str]] = {}
    data_sets = []
    for file in files:
        path = data_set_of(file)
        if path == file or path not in shards:
            data_sets.append(path)
        shards.setdefault(path, set()).update([file] if path != file else [])
    for path, found in shards.items():
        _require_all_shards(path, found, what)
    return data_sets


def file_checksum(path: str) -> int:
    """Return the CRC-32C of a file's content."""
    checksum = 0
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            checksum = crc32c(block, checksum)
    return checksum


def _files_named(part: str, what: str) -> list[str]:
    """Return the record files that one file name, folder or glob stands for, sorted."""
    if os.path.isfile(part):
        record_format(part)
        return [part]
    if part.endswith(_ENDINGS) and os.path.isfile(info_path(part)):
        return _existing_shards(part) or [part]
    pattern = os.path.join(glob.escape(part), "*") if os.path.isdir(part) else part
    found = sorted(path for path in glob.glob(pattern) if path.endswith(_ENDINGS))
    if not found:
        problem = "holds no .tfrecord or .mindrecord file" if os.path.isdir(part) else "does not exist"
        raise MassError(f"{what} {part!r} {problem} (looked in {os.getcwd()})")
    for path in found:
        require_file(path, f"{what}: record file")
    _require_one_format(found, part, what)
    return found


def _existing_shards(path: str) -> list[str]:
    return sorted(file for file in earlier_files(path) if file.endswith(_ENDINGS) and file != path)


def _require_one_format(files: Sequence[str], part: str, what: str) -> None:
    formats: dict[str, str] = {}
    for file in files:
        stem, ending = os.path.splitext(data_set_of(file))
        if formats.setdefault(stem, ending) != ending:
            raise MassError(f"{what} {part!r}: {stem} exists as TFRecord and as MindRecord; name the files to read")


def _require_all_shards(path: str, found: set[str], what: str) -> None:
    """Raise a MassError unless `found` holds none or all of the shards of a data set."""
    if not found:
        return
    counts = {int(_SHARD.fullmatch(os.path.splitext(file)[0])["shards"]) for file in found}
    if len(counts) > 1:
        raise MassError(f"{what}: {path} exists in {' and in '.join(map(str, sorted(counts)))} shards; remove the "
                        f"files of an earlier run")
    (count,) = counts
    for shard in shard_paths(path, count):
        if shard in found:
            continue
        if os.path.exists(shard):
            raise MassError(f"{what}: only {len(found)} of the {count} shards of {path} are named; {shard} for example "
                            f"is not. Name the data set {path!r}, which means all of them")
        raise MassError(f"{what}: {shard} is missing, one of the {count} shards of {path}; make the data set again")
