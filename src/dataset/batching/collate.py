"""From the examples of a batch to its arrays: masks are drawn, targets shifted, rows filled and padded."""
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from src.common.ragged import Ragged
from src.dataset.batching.batch import Batch, Shape
from src.language_model.fragment_language_model import FragmentLanguageModel
from src.language_model.noise_channel_language_model import NoiseChannelLanguageModel
from src.language_model.random_numbers import RandomNumbers
from src.utils.dictionary import BOS_INDEX, MASK_INDEX, PAD_INDEX


class Collate(Protocol):
    """Makes a batch from examples of a data set.

    Args:
        indices: [rows] or [rows, slots], the examples of each row; -1 marks an empty slot.
        shape: the shape of the batch.
        generator: the random numbers for the examples, in the order of `indices` without the empty slots.

    Raises:
        ValueError: the examples of a row are longer than the row.
    """

    def __call__(self, indices: np.ndarray, shape: Shape, generator: RandomNumbers) -> Batch: ...


class _PaddedExamples(NamedTuple):
    """Examples as the network sees them, one per row, padded to the longest: [examples, length] int32 each."""

    source_ids: np.ndarray
    source_mask: np.ndarray
    decoder_input_ids: np.ndarray
    decoder_positions: np.ndarray
    labels: np.ndarray


def sentence_collate(tokens: Ragged, language_model: FragmentLanguageModel, attend_to_masks: bool) -> Collate:
    """Return the collate function for pre-training: it draws a new fragment each time a sentence is read."""

    def read(indices: np.ndarray, shape: Shape, generator: RandomNumbers) -> _PaddedExamples:
        ids = _padded(tokens, indices, shape.source_len)
        source_ids, inputs, positions, labels = language_model(ids, np.count_nonzero(ids, axis=1), generator)
        return _PaddedExamples(source_ids, source_mask(source_ids, attend_to_masks), inputs, positions, labels)

    return _collate(read)


def pair_collate(source: Ragged, target: Ragged, noise: NoiseChannelLanguageModel, attend_to_masks: bool) -> Collate:
    """Return the collate function for fine-tuning and scoring.

    The decoder's input is <s> followed by the target without its last token.
    """

    def read(indices: np.ndarray, shape: Shape, generator: RandomNumbers) -> _PaddedExamples:
        source_ids = noise(_padded(source, indices, shape.source_len), generator)
        labels = _padded(target, indices, shape.target_len)
        inputs = np.full_like(labels, BOS_INDEX)
        inputs[:, 1:] = labels[:, :-1]
        positions = np.broadcast_to(np.arange(labels.shape[1], dtype=np.int32), labels.shape)
        return _PaddedExamples(source_ids, source_mask(source_ids, attend_to_masks), inputs, positions, labels)

    return _collate(read)


def source_mask(source_ids: np.ndarray, attend_to_masks: bool) -> np.ndarray:
    """Return which positions of `source_ids` may be attended to: [examples, source_len] int32, 1 or 0.

    These are all positions but <pad> and, unless `attend_to_masks` is set, <mask>. If every token of an example is
    <mask>, all of them may be attended to, because attention needs at least one position.
    """
    present = source_ids != PAD_INDEX
    unmasked = present & (source_ids != MASK_INDEX)
    use_masks = attend_to_masks | ~unmasked.any(axis=1, keepdims=True)
    return np.where(use_masks, present, unmasked).astype(np.int32)


def _padded(sequences: Ragged, indices: np.ndarray, limit: int) -> np.ndarray:
    """Return the sequences padded to the longest one, [examples, length] int32; a length above `limit` is an error."""
    ids = sequences.padded(indices, limit)
    return ids[:, : np.count_nonzero(ids, axis=1).max(initial=1)]


def _collate(read: Callable[[np.ndarray, Shape, RandomNumbers], _PaddedExamples]) -> Collate:
    """Return a collate function that puts the examples that `read` returns into rows."""

    def collate(indices: np.ndarray, shape: Shape, generator: RandomNumbers) -> Batch:
        indices = indices.reshape(shape.rows, -1).astype(np.int64)
        examples = read(indices[indices >= 0], shape, generator)
        source, target = (_RowFiller(indices >= 0, ids != PAD_INDEX, length) for ids, length in (
            (examples.source_ids, shape.source_len), (examples.labels, shape.target_len)))
        return Batch(source.fill(examples.source_ids), source.positions(), source.segments(),
                     source.fill(examples.source_mask), target.fill(examples.decoder_input_ids),
                     target.fill(examples.decoder_positions), target.segments(), target.fill(examples.labels))

    return collate


class _RowFiller:
    """Puts the tokens of examples into rows of a given length, the examples of a row end to end.

    Args:
        occupied: [rows, slots] bool, which slots of the rows hold an example.
        present: [examples, longest] bool, where the examples have tokens.
        length: the length of the rows.
    """

    def __init__(self, occupied: np.ndarray, present: np.ndarray, length: int):
        lengths = np.zeros(occupied.shape, np.int64)
        lengths[occupied] = np.count_nonzero(present, axis=1)
        ends = np.cumsum(lengths, axis=1)
        if ends.max(initial=0) > length:
            raise ValueError(f"the examples of a row have {ends.max()} tokens, but the row has {length}")
        rows, self._numbers = np.nonzero(occupied)  # of each example
        starts = rows * length + (ends - lengths)[occupied]
        self._example, self._column = np.nonzero(present)  # of each token
        self._cell = starts[self._example] + self._column
        self._shape = (len(occupied), length)

    def fill(self, values: np.ndarray) -> np.ndarray:
        """Return the examples' values, [examples, longest], in their rows: [rows, length] int32."""
        return self._rows(values[self._example, self._column])

    def positions(self) -> np.ndarray:
        """Return the position of each token in its example: [rows, length] int32."""
        return self._rows(self._column)

    def segments(self) -> np.ndarray:
        """Return the number of each token's example in its row, from 1: [rows, length] int32."""
        return self._rows(self._numbers[self._example] + 1)

    def _rows(self, values: np.ndarray) -> np.ndarray:
        out = np.zeros(self._shape, np.int32)
        out.reshape(-1)[self._cell] = values
        return out
