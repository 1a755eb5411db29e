"""Writing data sets: worker processes turn parts of the text into records, this process writes them in order."""
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from src.common.errors import MassError, UsageError
from src.common.files import atomic_outputs
from src.common.parallel import map_in_order
from src.common.progress import Progress
from src.dataset.example_loader import EncodingSettings, ExampleLoader, Examples, LineCounts, TokenIds
from src.dataset.records.files import (
    MAX_SHARDS,
    data_set_of,
    earlier_files,
    file_checksum,
    files_of,
    index_path,
    info_path,
    record_format,
    shard_paths,
)
from src.dataset.records.index import IndexWriter, remove_index
from src.dataset.records.info import COLUMNS, RecordInfo, percentile_lengths
from src.dataset.records.mindrecord import MindRecordWriter
from src.dataset.records.tfrecord import Frames, TFRecordWriter, encode_frames
from src.utils.dictionary import UNK_INDEX, Dictionary


@dataclass(frozen=True)
class DataSetPlan:
    """A data set to write."""

    path: str  # the ending (.tfrecord, .mindrecord) chooses the format
    loader: ExampleLoader
    split: str  # "pretrain", "train", "valid" or "test"
    masking: dict[str, float]  # {"fragment_ratio": r} for sentences, {"noise_prob": p} for pairs
    shards: int = 1


def write_data_sets(plans: Sequence[DataSetPlan], processes: int = 1, quiet: bool = False) -> Iterator[RecordInfo]:
    """Write data sets one after the other; yields the description of each when it is complete.

    The examples stream through, in the order of the text; the bytes are the same for any number of processes. Nothing
    appears under a final name before it is complete; the description, without which no records are read, comes last.

    Raises:
        UsageError: an impossible number of shards.
        MassError: bad text; a data set of which nothing, or less than an example a shard, is kept.
    """
    for plan in plans:
        if not 1 <= plan.shards <= MAX_SHARDS:
            raise UsageError(f"--shards {plan.shards}: give a number from 1 to {MAX_SHARDS}")
        if data_set_of(plan.path) != plan.path:
            raise UsageError(f"a data set named {os.path.basename(plan.path)!r} would be taken for one of several "
                             f"shards: rename the text file, or give a --suffix")
    if not plans:
        return
    total = sum(os.path.getsize(path) for plan in plans for path in plan.loader.inputs)
    with (
        _vocabulary_files(plans) as vocabulary_paths,
        closing(map_in_order(_encode_part, _tasks(plans, vocabulary_paths), processes)) as results,
        Progress("records", total, "B", quiet) as progress,
    ):
        for number, parts in groupby(results, key=lambda part: part.data_set):
            yield _write_data_set(plans[number], parts, progress)


class _Task(NamedTuple):
    """A part of the text of one data set, and all that a worker must know to encode it."""

    data_set: int
    part: Any
    encode: Callable[[Any, TokenIds, EncodingSettings], Examples]
    settings: EncodingSettings
    vocabulary_path: str
    framed: bool


class _EncodedPart(NamedTuple):
    """What a worker made of it."""

    data_set: int
    bytes_read: int
    examples: Examples
    unknown: dict[str, int]  # column -> `<unk>`
    histograms: dict[str, np.ndarray]  # column -> [longest + 1], sequences of each length
    frames: Frames | None


def _tasks(plans: Sequence[DataSetPlan], vocabulary_paths: dict[str, str]) -> Iterator[_Task]:
    for number, plan in enumerate(plans):
        loader = plan.loader
        framed = record_format(plan.path) == "tfrecord"
        for part in loader.parts():
            yield _Task(number, part, loader.encode, loader.settings, vocabulary_paths[loader.vocabulary.fingerprint],
                        framed)


def _encode_part(task: _Task) -> _EncodedPart:
    examples = task.encode(task.part, _load_token_ids(task.vocabulary_path), task.settings)
    unknown = {name: int(np.count_nonzero(column.values == UNK_INDEX)) for name, column in examples.columns.items()}
    histograms = {name: np.bincount(column.lengths) for name, column in examples.columns.items()}
    frames = encode_frames(examples.columns) if task.framed else None
    return _EncodedPart(task.data_set, task.part.size, examples, unknown, histograms, frames)


@lru_cache(maxsize=1)
def _load_token_ids(vocabulary_path: str) -> TokenIds:
    """Once in each process; the path is new in each run."""
    return TokenIds(Dictionary.load_from_persisted_dict(vocabulary_path))


@contextmanager
def _vocabulary_files(plans: Sequence[DataSetPlan]) -> Iterator[dict[str, str]]:
    """Fingerprint -> a file of that vocabulary for the workers, who load it once instead of being sent it each time."""
    with tempfile.TemporaryDirectory(prefix="vocabularies-") as folder:
        paths = {}
        for vocabulary in {plan.loader.vocabulary.fingerprint: plan.loader.vocabulary for plan in plans}.values():
            paths[vocabulary.fingerprint] = os.path.join(folder, vocabulary.fingerprint)
            vocabulary.persistence(paths[vocabulary.fingerprint])
        yield paths


def _write_data_set(plan: DataSetPlan, parts: Iterable[_EncodedPart], progress: Progress) -> RecordInfo:
    folder, name = os.path.split(plan.path)
    loader, statistics = plan.loader, _Statistics(COLUMNS[plan.loader.kind])
    with atomic_outputs(folder or ".") as scratch:
        unfinished = os.path.join(scratch, name)
        with (
            closing(_Writer(unfinished, plan.shards, statistics.columns)) as records,
            IndexWriter(index_path(unfinished), statistics.columns, len(loader.vocabulary)) as index,
        ):
            for part in parts:
                records.write(part)
                index.append(part.examples.columns)
                statistics.add(part)
                progress.update(part.bytes_read)
            _require_examples(plan, statistics)
            records.close()
            files = files_of(unfinished, plan.shards)
            checksums = {ending: file_checksum(file) for ending, file in files.items()}
            index.finish(checksums, files)
        _remove_earlier(plan.path)
    info = statistics.describe(plan, checksums)
    _keep_vocabulary(loader.vocabulary, info.vocabulary_path(plan.path))
    info.save(plan.path)
    return info


def _keep_vocabulary(vocabulary: Dictionary, path: str) -> None:
    """Write the copy of the vocabulary, unless it is there: other data sets in the folder have the same one."""
    try:
        there = Dictionary.load_from_persisted_dict(path)
        same = (there.tokens, there.frequencies) == (vocabulary.tokens, vocabulary.frequencies)
    except MassError:  # missing or damaged
        same = False
    if not same:
        vocabulary.persistence(path)


def _require_examples(plan: DataSetPlan, statistics: "_Statistics") -> None:
    counts, settings = statistics.counts, plan.loader.settings
    if not statistics.kept:
        dropped = ", ".join(f"{reason} {count:,}" for reason, count in sorted(counts.dropped.items())) or "none"
        raise MassError(f"{plan.path}: nothing to write: of {counts.lines_read:,} lines read none was kept (dropped: "
                        f"{dropped}; min_len is {settings.min_len}, max_len {settings.max_len})")
    if statistics.kept < plan.shards:
        raise MassError(f"{plan.path}: {statistics.kept:,} examples do not fill {plan.shards} shards; give fewer")


def _remove_earlier(path: str) -> None:
    """Remove the data set that is about to be replaced: first its description, without which no records are read."""
    with suppress(FileNotFoundError):
        os.remove(info_path(path))
    remove_index(path)
    for file in earlier_files(path):
        os.remove(file)


class _Writer:
    """Writes encoded parts in the format that the name asks for."""

    def __init__(self, path: str, shards: int, columns: Sequence[str]):
        paths = shard_paths(path, shards)
        framed = record_format(path) == "tfrecord"
        self._files = TFRecordWriter(paths) if framed else MindRecordWriter(paths, columns)
        self._closed = False

    def write(self, part: _EncodedPart) -> None:
        self._files.write(part.examples.columns if part.frames is None else part.frames)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._files.close()


class _Statistics:
    """Adds up what is known of encoded parts; lengths as a histogram, so that memory does not grow with the text."""

    def __init__(self, columns: tuple[str, ...]):
        self.columns = columns
        self.counts = LineCounts()
        self.unknown = dict.fromkeys(columns, 0)
        self.histograms = {name: np.zeros(1, np.int64) for name in columns}

    @property
    def kept(self) -> int:
        return int(self.histograms[self.columns[0]].sum())

    def add(self, part: _EncodedPart) -> None:
        self.counts.add(part.examples.counts)
        for name in self.columns:
            self.unknown[name] += part.unknown[name]
            longer, shorter = sorted((self.histograms[name], part.histograms[name]), key=len, reverse=True)
            self.histograms[name] = longer.astype(np.int64)
            self.histograms[name][: len(shorter)] += shorter

    def describe(self, plan: DataSetPlan, checksums: dict[str, int]) -> RecordInfo:
        loader, histograms = plan.loader, self.histograms
        vocabulary = loader.vocabulary
        return RecordInfo(
            kind=loader.kind, split=plan.split, max_len=loader.settings.max_len, min_len=loader.settings.min_len,
            masking=plan.masking, shards=plan.shards, checksums=checksums,
            lines_read=self.counts.lines_read, kept=self.kept, dropped=dict(self.counts.dropped),
            flawed=dict(self.counts.flawed),
            damaged={name: count for name, count in self.counts.damaged.items() if count},
            tokens={name: int(counts @ np.arange(len(counts))) for name, counts in histograms.items()},
            unknown=self.unknown,
            longest={name: int(np.flatnonzero(counts)[-1]) for name, counts in histograms.items()},
            percentiles={name: percentile_lengths(counts) for name, counts in histograms.items()},
            vocabulary={"file": f"vocabulary-{vocabulary.fingerprint[:12]}.dict.bin", "size": len(vocabulary),
                        "fingerprint": vocabulary.fingerprint},
        )
