"""Turning the text of data sets into records, part by part, in worker processes."""
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from src.common.parallel import map_in_order
from src.dataset.example_loader import EncodedExamples, EncodingSettings, ExampleLoader
from src.dataset.records.tfrecord import Frames, encode_frames
from src.dataset.token_ids import TokenIds
from src.utils.dictionary import UNK_INDEX


class EncodedPart(NamedTuple):
    """A part of the text of one data set as records, with its statistics."""

    data_set: int  # the number of the data set among those that are encoded
    bytes_read: int
    examples: EncodedExamples
    unknown: dict[str, int]  # column -> number of `<unk>`
    histograms: dict[str, np.ndarray]  # column -> [longest + 1], the number of sequences of each length
    frames: Frames | None  # the examples as TFRecord frames, if the data set is to be written in this format


class _Task(NamedTuple):
    """A part of the text of one data set, and what a worker needs to encode it besides the vocabulary."""

    data_set: int
    part: Any
    encode: Callable[[Any, TokenIds, EncodingSettings], EncodedExamples]
    settings: EncodingSettings
    fingerprint: str  # of the vocabulary
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
    vocabularies = {loader.vocabulary.fingerprint: loader.vocabulary for loader, _ in data_sets}
    ids = {fingerprint: TokenIds(vocabulary) for fingerprint, vocabulary in vocabularies.items()}
    with closing(map_in_order(partial(_encode, ids), _tasks(data_sets), processes)) as parts:
        yield parts


def _tasks(data_sets: list[tuple[ExampleLoader, bool]]) -> Iterator[_Task]:
    for number, (loader, framed) in enumerate(data_sets):
        for part in loader.parts():
            yield _Task(number, part, loader.encode, loader.settings, loader.vocabulary.fingerprint, framed)


def _encode(ids: Mapping[str, TokenIds], task: _Task) -> EncodedPart:
    """Encode a part; workers receive `ids`, the ids of each vocabulary by its fingerprint, once."""
    examples = task.encode(task.part, ids[task.fingerprint], task.settings)
    unknown = {name: int(np.count_nonzero(column.values == UNK_INDEX)) for name, column in examples.columns.items()}
    histograms = {name: np.bincount(column.lengths) for name, column in examples.columns.items()}
    frames = encode_frames(examples.columns) if task.framed else None
    return EncodedPart(task.data_set, task.part.size, examples, unknown, histograms, frames)
