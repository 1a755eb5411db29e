"""Turning the text of data sets into records, part by part, in worker processes."""
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from src.common.parallel import map_in_order
from src.dataset.example_loader import EncodedExamples, EncodingSettings, ExampleLoader
from src.dataset.records.tfrecord import Frames, encode_frames
from src.dataset.token_ids import TokenIds
from src.utils.dictionary import UNK_INDEX, Dictionary


class EncodedPart(NamedTuple):
    """A part of the text of one data set as records, with its statistics."""

    data_set: int  # the number of the data set among those that are encoded
    bytes_read: int
    examples: EncodedExamples
    unknown: dict[str, int]  # column -> number of `<unk>`
    histograms: dict[str, np.ndarray]  # column -> [longest + 1], the number of sequences of each length
    frames: Frames | None  # the examples as TFRecord frames, if the data set is to be written in this format


class _Task(NamedTuple):
    """A part of the text of one data set and everything that a worker needs to encode it."""

    data_set: int
    part: Any
    encode: Callable[[Any, TokenIds, EncodingSettings], EncodedExamples]
    settings: EncodingSettings
    vocabulary_path: str
    framed: bool


@contextmanager
def encode_parts(data_sets: Iterable[tuple[ExampleLoader, bool]], processes: int) -> Iterator[Iterator[EncodedPart]]:
    """Encode the text of several data sets; the result iterates over their parts in order.

    Use it in a `with` statement, at the end of which the worker processes end.

    Args:
        data_sets: the loader of each data set, and whether its examples are to be encoded as TFRecord frames too.
        processes: the number of worker processes; with 1, this process does the work.
    """
    data_sets = list(data_sets)
    with (
        _vocabulary_files([loader.vocabulary for loader, _ in data_sets]) as vocabulary_paths,
        closing(map_in_order(_encode, _tasks(data_sets, vocabulary_paths), processes)) as parts,
    ):
        yield parts


def _tasks(data_sets: list[tuple[ExampleLoader, bool]], vocabulary_paths: dict[str, str]) -> Iterator[_Task]:
    for number, (loader, framed) in enumerate(data_sets):
        vocabulary_path = vocabulary_paths[loader.vocabulary.fingerprint]
        for part in loader.parts():
            yield _Task(number, part, loader.encode, loader.settings, vocabulary_path, framed)


def _encode(task: _Task) -> EncodedPart:
    examples = task.encode(task.part, _load_token_ids(task.vocabulary_path), task.settings)
    unknown = {name: int(np.count_nonzero(column.values == UNK_INDEX)) for name, column in examples.columns.items()}
    histograms = {name: np.bincount(column.lengths) for name, column in examples.columns.items()}
    frames = encode_frames(examples.columns) if task.framed else None
    return EncodedPart(task.data_set, task.part.size, examples, unknown, histograms, frames)


@lru_cache(maxsize=1)
def _load_token_ids(vocabulary_path: str) -> TokenIds:
    """Load a vocabulary once per process; each run has a new path."""
    return TokenIds(Dictionary.load_from_persisted_dict(vocabulary_path))


@contextmanager
def _vocabulary_files(vocabularies: list[Dictionary]) -> Iterator[dict[str, str]]:
    """Write each vocabulary to a temporary file and return the paths by fingerprint.

    Workers load the file once, so that the vocabulary is not sent to them with each task.
    """
    with tempfile.TemporaryDirectory(prefix="vocabularies-") as folder:
        paths = {}
        for vocabulary in {vocabulary.fingerprint: vocabulary for vocabulary in vocabularies}.values():
            paths[vocabulary.fingerprint] = os.path.join(folder, vocabulary.fingerprint)
            vocabulary.persistence(paths[vocabulary.fingerprint])
        yield paths
