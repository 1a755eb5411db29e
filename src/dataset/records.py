"""Files of records: written from a loader, read back as ragged arrays, in either format."""
import glob
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from crc32c import crc32c
from tqdm import tqdm

from src.dataset.example_loader import ExampleLoader
from src.dataset.mindrecord import read_mindrecord, write_mindrecord
from src.dataset.record_info import COLUMNS, RecordInfo, format_counts, info_path, merge_infos
from src.dataset.tfrecord import read_tfrecord, write_tfrecord
from src.utils.dictionary import UNK_INDEX, Dictionary
from src.utils.errors import MassError
from src.utils.files import atomic_outputs, require_file
from src.utils.ragged import RaggedArray

RECORD_FORMATS = ("tfrecord", "mindrecord")
_WRITERS = {"tfrecord": write_tfrecord, "mindrecord": write_mindrecord}
_READERS = {"tfrecord": read_tfrecord, "mindrecord": read_mindrecord}


@dataclass(frozen=True)
class RecordSet:
    """The examples of one or several files of records, in memory."""

    info: RecordInfo
    columns: dict[str, RaggedArray]  # "tokens"; or "source" and "target"
    paths: tuple[str, ...]

    def __len__(self) -> int:
        return self.info.kept

    @property
    def vocabulary_path(self) -> str:
        """The copy of the vocabulary beside the (first) file."""
        return _vocabulary_path(self.paths[0], self.info)


def write_records(
    path: str, loader: ExampleLoader, split: str, masking: dict[str, float], progress: bool = True
) -> RecordInfo:
    """Write what a loader yields to `path`, then its vocabulary and its description beside it.

    The examples stream through; the ending of `path` (.tfrecord, .mindrecord) chooses the format. Nothing appears under
    a final name before it is complete, and the description, without which no file is read, comes last.

    Args:
        split: "pretrain", "train", "valid" or "test".
        masking: {"fragment_ratio": r} for sentences, {"noise_prob": p} for pairs; used when batches are made.
        progress: Show a progress bar if the standard error is a terminal.

    Raises:
        MassError: the loader yields nothing.
    """
    folder, name = os.path.split(path)
    writer, statistics = _WRITERS[record_format(path)], _Statistics(COLUMNS[loader.kind])
    with atomic_outputs(folder or ".") as scratch:
        examples = tqdm(loader, desc=name, total=loader.total_lines, unit=" examples", leave=False,
                        disable=None if progress else True)
        writer(os.path.join(scratch, name), statistics.count(examples), statistics.columns)
        if not statistics.kept:
            raise MassError(f"{path}: nothing to write: of {loader.lines_read:,} lines read none was kept "
                            f"(dropped: {format_counts(loader.dropped)}; max_len is {loader.max_len})")
        stem = os.path.splitext(name)[0]
        checksums = {file.removeprefix(stem): _file_checksum(os.path.join(scratch, file))
                     for file in sorted(os.listdir(scratch))}
        with suppress(FileNotFoundError):  # an earlier description, of the file that is now replaced
            os.remove(info_path(path))
    info = RecordInfo(
        kind=loader.kind, split=split, max_len=loader.max_len, masking=masking,
        lines_read=loader.lines_read, dropped=dict(loader.dropped), flawed=dict(loader.flawed),
        kept=statistics.kept, tokens=statistics.tokens, unknown=statistics.unknown, longest=statistics.longest,
        checksums=checksums, vocabulary=_describe_vocabulary(loader.vocabulary),
    )  # fmt: skip
    loader.vocabulary.persistence(_vocabulary_path(path, info))
    info.save(path)
    return info


def load_records(spec: str, what: str = "data set") -> RecordSet:
    """Read records into memory.

    Args:
        spec: A file, several separated by commas, a glob, or a folder; .tfrecord and .mindrecord files are taken.
        what: The role of the data, for error messages; for example a configuration key.

    Raises:
        MassError: no such file; a file without its description, damaged, or not as described; or files that differ in
            kind, split, masking or vocabulary and are therefore no one data set.
    """
    paths = find_records(spec, what)
    infos = [RecordInfo.load(path) for path in paths]
    for path, info in zip(paths[1:], infos[1:], strict=True):
        _require_alike(what, paths[0], infos[0], path, info)
    parts = [_load_file(path, info) for path, info in zip(paths, infos, strict=True)]
    columns = {name: RaggedArray.concatenate([part[name] for part in parts]) for name in infos[0].columns}
    return RecordSet(merge_infos(infos), columns, tuple(paths))


def find_records(spec: str, what: str = "data set") -> list[str]:
    """The files a data set's `spec` stands for (see `load_records`), at least one."""
    parts = [spec] if os.path.exists(spec) else [part.strip() for part in spec.split(",") if part.strip()]
    paths = [path for part in parts for path in _expand(part, what)]
    if not paths:
        raise MassError(f"{what}: no record file is named: give a file, several (comma-separated), a glob or a folder")
    return paths


def record_format(path: str) -> str:
    """The format of a record file, by the ending of its name."""
    ending = os.path.splitext(path)[1].removeprefix(".")
    if ending not in RECORD_FORMATS:
        raise MassError(f"{path}: a record file's name ends with {' or '.join('.' + name for name in RECORD_FORMATS)}")
    return ending


def _expand(part: str, what: str) -> list[str]:
    """The record files of one file name, folder or glob, sorted."""
    if os.path.isfile(part):
        record_format(part)
        return [part]
    pattern = os.path.join(glob.escape(part), "*") if os.path.isdir(part) else part
    found = sorted(path for path in glob.glob(pattern) if path.endswith(tuple("." + name for name in RECORD_FORMATS)))
    if not found:
        problem = "holds no .tfrecord or .mindrecord file" if os.path.isdir(part) else "does not exist"
        raise MassError(f"{what} {part!r} {problem} (looked in {os.getcwd()})")
    stems = [os.path.splitext(path)[0] for path in found]
    for stem in stems:
        if stems.count(stem) > 1:
            raise MassError(f"{what} {part!r}: {stem} is there as TFRecord and as MindRecord; name the files to read")
    return found


def _load_file(path: str, info: RecordInfo) -> dict[str, RaggedArray]:
    """Read one file and compare it with its description."""
    stem = os.path.splitext(path)[0]
    as_described = all(_file_checksum(require_file(stem + ending, "record file")) == checksum
                       for ending, checksum in info.checksums.items())
    other = MassError(f"{path}: its content is not what its description {info_path(path)} was made for; the file is "
                      f"damaged or was replaced: make it again")
    if not as_described and record_format(path) == "mindrecord":
        raise other  # a damaged one can crash MindSpore; a damaged TFRecord file is left to say which record it is
    blocks = list(_READERS[record_format(path)](path, info.columns))
    empty = RaggedArray.from_sequences([])
    columns = {name: RaggedArray.concatenate([block[name] for block in blocks] or [empty]) for name in info.columns}
    for sequences in columns.values():
        if len(sequences) != info.kept:
            raise MassError(f"{path}: holds {len(sequences):,} records where its description {info_path(path)} says "
                            f"{info.kept:,}; the file is incomplete or not the one described: make it again")
    if not as_described:
        raise other
    return columns


def _require_alike(what: str, first_path: str, first: RecordInfo, path: str, info: RecordInfo) -> None:
    """Raise unless two files can be parts of one data set."""
    for name in ("kind", "split", "masking"):
        ours, theirs = getattr(first, name), getattr(info, name)
        if ours != theirs:
            raise MassError(f"{what}: {first_path} and {path} are not of one data set: their {name} is {ours!r} and "
                            f"{theirs!r}; name the files to read")
    if first.vocabulary["fingerprint"] != info.vocabulary["fingerprint"]:
        vocabularies = [Dictionary.load_from_persisted_dict(_vocabulary_path(*pair))
                        for pair in ((first_path, first), (path, info))]
        raise MassError(f"{what}: {first_path} and {path} were made with different vocabularies "
                        f"({vocabularies[0].describe_difference(vocabularies[1])})")


def _describe_vocabulary(vocabulary: Dictionary) -> dict[str, str | int]:
    """How a RecordInfo refers to its vocabulary, a copy of which stands beside the records."""
    return {"file": f"vocabulary-{vocabulary.fingerprint[:12]}.dict.bin", "size": len(vocabulary),
            "fingerprint": vocabulary.fingerprint}


def _vocabulary_path(record_path: str, info: RecordInfo) -> str:
    return os.path.join(os.path.dirname(record_path), str(info.vocabulary["file"]))


def _file_checksum(path: str) -> int:
    """CRC-32C of a file's content."""
    checksum = 0
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            checksum = crc32c(block, checksum)
    return checksum


class _Statistics:
    """Counts the examples that pass through `count`."""

    def __init__(self, columns: tuple[str, ...]):
        self.columns = columns
        self.kept = 0
        self.tokens, self.unknown, self.longest = ({name: 0 for name in columns} for _ in range(3))

    def count(self, examples: Iterable[dict[str, np.ndarray]]) -> Iterator[dict[str, np.ndarray]]:
        for example in examples:
            self.kept += 1
            for name in self.columns:
                ids = example[name]
                self.tokens[name] += len(ids)
                self.unknown[name] += int(np.count_nonzero(ids == UNK_INDEX))
                self.longest[name] = max(self.longest[name], len(ids))
            yield example
