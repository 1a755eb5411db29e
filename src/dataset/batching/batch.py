"""One batch as the network takes it, and how examples become one."""
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from src.common.ragged import Ragged
from src.language_model.fragment_language_model import FragmentLanguageModel
from src.language_model.noise_channel_language_model import NoiseChannelLanguageModel
from src.language_model.random_numbers import RandomNumbers
from src.utils.dictionary import BOS_INDEX, MASK_INDEX, PAD_INDEX


class Shape(NamedTuple):
    """The fixed size of a batch: rows and their lengths."""

    rows: int
    source_len: int
    target_len: int


class Batch(NamedTuple):
    """Padded int32 arrays, in the order of the network's arguments; a row holds one example, or several end to end.

    Segments number the examples of a row, 1, 2, ...: a symbol attends to its own segment only. Positions begin with 0
    in each example. All arrays are 0 (which is <pad>) where nothing stands.
    """

    source_ids: np.ndarray  # [rows, source_len]
    source_positions: np.ndarray  # [rows, source_len]
    source_segments: np.ndarray  # [rows, source_len]
    source_mask: np.ndarray  # [rows, source_len], 1 where attended to
    decoder_input_ids: np.ndarray  # [rows, target_len]
    decoder_positions: np.ndarray  # [rows, target_len]
    decoder_segments: np.ndarray  # [rows, target_len]
    labels: np.ndarray  # [rows, target_len], <pad> where nothing is predicted

    @property
    def target_tokens(self) -> int:
        """Symbols that are predicted."""
        return int(np.count_nonzero(self.labels))

    @property
    def tokens(self) -> int:
        """Source and target symbols without padding."""
        return int(np.count_nonzero(self.source_ids)) + self.target_tokens


class Collate(Protocol):
    """Makes a batch of the examples `indices`, [rows] or [rows, places], -1 where none stands.

    `generator` gives the random numbers of the examples that are there, in the order in which they stand.
    """

    def __call__(self, indices: np.ndarray, shape: Shape, generator: RandomNumbers) -> Batch: ...


class _Examples(NamedTuple):
    """Examples as the network sees them, one a row, each padded to the longest: [examples, length] int32."""

    source_ids: np.ndarray
    source_mask: np.ndarray
    decoder_input_ids: np.ndarray
    decoder_positions: np.ndarray
    labels: np.ndarray


def sentence_collate(tokens: Ragged, language_model: FragmentLanguageModel, attend_to_masks: bool) -> Collate:
    """Batches for pre-training: a fresh fragment is drawn each time a sentence is read."""

    def read(indices: np.ndarray, shape: Shape, generator: RandomNumbers) -> _Examples:
        ids = _padded(tokens, indices, shape.source_len)
        source_ids, inputs, positions, labels = language_model(ids, np.count_nonzero(ids, axis=1), generator)
        return _Examples(source_ids, source_mask(source_ids, attend_to_masks), inputs, positions, labels)

    return _collate(read)


def pair_collate(source: Ragged, target: Ragged, noise: NoiseChannelLanguageModel,
                 attend_to_masks: bool) -> Collate:
    """Batches for fine-tuning and scoring: the decoder's input is <s> and the target but for its last symbol."""

    def read(indices: np.ndarray, shape: Shape, generator: RandomNumbers) -> _Examples:
        source_ids = noise(_padded(source, indices, shape.source_len), generator)
        labels = _padded(target, indices, shape.target_len)
        inputs = np.full_like(labels, BOS_INDEX)
        inputs[:, 1:] = labels[:, :-1]
        positions = np.broadcast_to(np.arange(labels.shape[1], dtype=np.int32), labels.shape)
        return _Examples(source_ids, source_mask(source_ids, attend_to_masks), inputs, positions, labels)

    return _collate(read)


def source_mask(source_ids: np.ndarray, attend_to_masks: bool) -> np.ndarray:
    """[examples, source_len] int32: 1 where attended to, that is not at <pad> nor, unless wished, at <mask>.

    An example that is masked from end to end is attended to all the same: an attention must look at something.
    """
    present = source_ids != PAD_INDEX
    unmasked = present & (source_ids != MASK_INDEX)
    use_masks = attend_to_masks | ~unmasked.any(axis=1, keepdims=True)
    return np.where(use_masks, present, unmasked).astype(np.int32)


def _padded(sequences: Ragged, indices: np.ndarray, limit: int) -> np.ndarray:
    """[examples, length of the longest, at most `limit`] int32."""
    ids = sequences.padded(indices, limit)
    return ids[:, : np.count_nonzero(ids, axis=1).max(initial=1)]


def _collate(read: Callable[[np.ndarray, Shape, RandomNumbers], _Examples]) -> Collate:
    def collate(indices: np.ndarray, shape: Shape, generator: RandomNumbers) -> Batch:
        indices = indices.reshape(shape.rows, -1).astype(np.int64)
        examples = read(indices[indices >= 0], shape, generator)
        source, target = (_Places(indices >= 0, ids != PAD_INDEX, length) for ids, length in (
            (examples.source_ids, shape.source_len), (examples.labels, shape.target_len)))
        return Batch(source.put(examples.source_ids), source.positions(), source.segments(),
                     source.put(examples.source_mask), target.put(examples.decoder_input_ids),
                     target.put(examples.decoder_positions), target.segments(), target.put(examples.labels))

    return collate


class _Places:
    """Where the symbols of examples stand in rows of a given length: the examples of a row stand end to end.

    Args:
        there: [rows, places] bool, which places of the rows hold an example.
        symbols: [examples, longest] bool, where the examples have symbols.
        length: of the rows.
    """

    def __init__(self, there: np.ndarray, symbols: np.ndarray, length: int):
        lengths = np.zeros(there.shape, np.int64)
        lengths[there] = np.count_nonzero(symbols, axis=1)
        ends = np.cumsum(lengths, axis=1)
        if ends.max(initial=0) > length:
            raise ValueError(f"the examples of a row have {ends.max()} symbols, but the row has {length}")
        rows, self._numbers = np.nonzero(there)  # of each example
        starts = rows * length + (ends - lengths)[there]
        self._example, self._column = np.nonzero(symbols)  # of each symbol
        self._cell = starts[self._example] + self._column
        self._shape = (len(there), length)

    def put(self, values: np.ndarray) -> np.ndarray:
        """[rows, length] int32 from the examples' values [examples, longest]."""
        return self._rows(values[self._example, self._column])

    def positions(self) -> np.ndarray:
        """[rows, length] int32, the position of each symbol in its example."""
        return self._rows(self._column)

    def segments(self) -> np.ndarray:
        """[rows, length] int32, the number of the example in its row, from 1 on."""
        return self._rows(self._numbers[self._example] + 1)

    def _rows(self, values: np.ndarray) -> np.ndarray:
        out = np.zeros(self._shape, np.int32)
        out.reshape(-1)[self._cell] = values
        return out
