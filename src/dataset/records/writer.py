"""Writes data sets: worker processes encode parts of the text, and this process writes the records in order."""
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import groupby

from src.common.errors import MassError, UsageError
from src.common.files import atomic_outputs
from src.common.progress import Progress
from src.dataset.example_loader import ExampleLoader
from src.dataset.records.encoding import EncodedPart, encode_parts
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
from src.dataset.records.info import COLUMNS, RecordInfo, text_of_places
from src.dataset.records.mindrecord import MindRecordWriter, require_mindrecord_path
from src.dataset.records.statistics import RecordStatistics
from src.dataset.records.tfrecord import TFRecordWriter
from src.utils.dictionary import Dictionary


@dataclass(frozen=True)
class DataSetPlan:
    """A data set to write."""

    path: str  # its ending, .tfrecord or .mindrecord, determines the format
    loader: ExampleLoader
    split: str  # "pretrain", "train", "valid" or "test"
    masking: dict[str, float]  # {"fragment_ratio": r} for sentences, {"noise_prob": p} for pairs
    shards: int = 1  # the number of files that the examples are spread over


def write_data_sets(plans: Sequence[DataSetPlan], processes: int = 1, quiet: bool = False) -> Iterator[RecordInfo]:
    """Write data sets one after the other and yield the description of each when it is complete.

    The examples are written in the order of the text; the bytes are the same for any number of processes. Nothing
    appears under its final name before it is complete. The description, without which records are not read, is
    written last.

    Raises:
        UsageError: a number of shards or a name is impossible.
        MassError: a text is bad, or fewer examples than shards are kept of it.
    """
    for plan in plans:
        if not 1 <= plan.shards <= MAX_SHARDS:
            raise UsageError(f"--shards {plan.shards}: give a number from 1 to {MAX_SHARDS}")
        if data_set_of(plan.path) != plan.path:
            raise UsageError(f"a data set named {os.path.basename(plan.path)!r} would be taken for one of several "
                             f"shards: rename the text file, or give a --suffix")
        if record_format(plan.path) == "mindrecord":
            require_mindrecord_path(plan.path)
    if not plans:
        return
    total = sum(os.path.getsize(path) for plan in plans for path in plan.loader.inputs)
    data_sets = [(plan.loader, record_format(plan.path) == "tfrecord") for plan in plans]
    with encode_parts(data_sets, processes) as encoded, Progress("records", total, "B", quiet) as progress:
        for number, parts in groupby(encoded, key=lambda part: part.data_set):
            yield _write_data_set(plans[number], parts, progress)


def _write_data_set(plan: DataSetPlan, parts: Iterable[EncodedPart], progress: Progress) -> RecordInfo:
    folder, name = os.path.split(plan.path)
    loader, statistics = plan.loader, RecordStatistics(COLUMNS[plan.loader.kind])
    with atomic_outputs(folder or ".") as scratch:
        unfinished = os.path.join(scratch, name)
        with (
            closing(_RecordWriter(unfinished, plan.shards, statistics.columns)) as records,
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
    info = _describe(plan, statistics, checksums)
    _keep_vocabulary(loader.vocabulary, info.vocabulary_path(plan.path))
    info.save(plan.path)
    return info


def _describe(plan: DataSetPlan, statistics: RecordStatistics, checksums: dict[str, int]) -> RecordInfo:
    vocabulary, settings, counts = plan.loader.vocabulary, plan.loader.settings, statistics.counts
    return RecordInfo(
        kind=plan.loader.kind, split=plan.split, max_len=settings.max_len, min_len=settings.min_len,
        masking=plan.masking, shards=plan.shards, checksums=checksums,
        lines_read=counts.lines_read, kept=statistics.kept, dropped=dict(counts.dropped), flawed=dict(counts.flawed),
        damaged={name: count for name, count in counts.damaged.items() if count},
        tokens=statistics.tokens, unknown=statistics.unknown, longest=statistics.longest,
        percentiles=statistics.percentiles,
        continued_unknown={name: text_of_places(places) for name, places in counts.continued_unknown.items()},
        vocabulary={"file": f"vocabulary-{vocabulary.fingerprint[:12]}.dict.bin", "size": len(vocabulary),
                    "fingerprint": vocabulary.fingerprint},
    )


def _keep_vocabulary(vocabulary: Dictionary, path: str) -> None:
    """Write the copy of the vocabulary, unless another data set in the folder has written the same one."""
    try:
        present = Dictionary.load_from_persisted_dict(path)
        same = (present.tokens, present.frequencies) == (vocabulary.tokens, vocabulary.frequencies)
    except MassError:  # missing or damaged
        same = False
    if not same:
        vocabulary.persistence(path)


def _require_examples(plan: DataSetPlan, statistics: RecordStatistics) -> None:
    counts, settings = statistics.counts, plan.loader.settings
    if not statistics.kept:
        dropped = ", ".join(f"{reason} {count:,}" for reason, count in sorted(counts.dropped.items())) or "none"
        raise MassError(f"{plan.path}: nothing to write: of {counts.lines_read:,} lines read none was kept (dropped: "
                        f"{dropped}; min_len is {settings.min_len}, max_len {settings.max_len})")
    if statistics.kept < plan.shards:
        raise MassError(f"{plan.path}: {statistics.kept:,} examples do not fill {plan.shards} shards; give fewer")


def _remove_earlier(path: str) -> None:
    """Remove the data set that is about to be replaced, its description first: without it no records are read."""
    with suppress(FileNotFoundError):
        os.remove(info_path(path))
    remove_index(path)
    for file in earlier_files(path):
        os.remove(file)


class _RecordWriter:
    """Writes encoded parts in the format that the ending of the path determines."""

    def __init__(self, path: str, shards: int, columns: Sequence[str]):
        paths = shard_paths(path, shards)
        framed = record_format(path) == "tfrecord"
        self._files = TFRecordWriter(paths) if framed else MindRecordWriter(paths, columns)
        self._closed = False

    def write(self, part: EncodedPart) -> None:
        self._files.write(part.examples.columns if part.frames is None else part.frames)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._files.close()
