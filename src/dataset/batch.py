"""One batch as the network takes it, and how records become one."""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from src.language_model.fragment_language_model import FragmentLanguageModel
from src.language_model.noise_channel_language_model import NoiseChannelLanguageModel
from src.utils.dictionary import BOS_INDEX, MASK_INDEX, PAD_INDEX
from src.utils.ragged import RaggedArray


class Shape(NamedTuple):
    """The fixed size of a batch: rows and padded lengths."""

    rows: int
    source_len: int
    target_len: int


class Batch(NamedTuple):
    """Padded int32 arrays, in the order of the network's arguments. Rows of padding only fill up a last batch."""

    source_ids: np.ndarray  # [rows, source_len]
    source_mask: np.ndarray  # [rows, source_len], 1 where attended to
    decoder_input_ids: np.ndarray  # [rows, target_len]
    decoder_positions: np.ndarray  # [rows, target_len]
    decoder_mask: np.ndarray  # [rows, target_len], 1 where a symbol stands
    labels: np.ndarray  # [rows, target_len], <pad> where nothing is predicted

    @property
    def target_tokens(self) -> int:
        """Symbols that are predicted."""
        return int(np.count_nonzero(self.labels))

    @property
    def tokens(self) -> int:
        """Source and target symbols without padding."""
        return int(np.count_nonzero(self.source_ids)) + self.target_tokens


# Indices of examples (-1: an empty row), the shape, and a generator for what is random -> a batch.
Collate = Callable[[np.ndarray, Shape, np.random.Generator], Batch]


def sentence_collate(tokens: RaggedArray, language_model: FragmentLanguageModel, attend_to_masks: bool) -> Collate:
    """Batches for pre-training: a fresh fragment is drawn each time a sentence is read."""

    def collate(indices: np.ndarray, shape: Shape, generator: np.random.Generator) -> Batch:
        ids = tokens.padded(indices, shape.source_len)
        fragments = language_model(ids, np.count_nonzero(ids, axis=1), generator)
        return _batch(*fragments, attend_to_masks)

    return collate


def pair_collate(source: RaggedArray, target: RaggedArray, noise: NoiseChannelLanguageModel,
                 attend_to_masks: bool) -> Collate:
    """Batches for fine-tuning and scoring: the decoder's input is <s> and the target but for its last symbol."""

    def collate(indices: np.ndarray, shape: Shape, generator: np.random.Generator) -> Batch:
        source_ids = noise(source.padded(indices, shape.source_len), generator)
        labels = target.padded(indices, shape.target_len)
        inputs = np.full_like(labels, BOS_INDEX)
        inputs[:, 1:] = labels[:, :-1]
        inputs[labels == PAD_INDEX] = PAD_INDEX
        positions = np.broadcast_to(np.arange(shape.target_len, dtype=np.int32), labels.shape)
        return _batch(source_ids, inputs, positions, labels, attend_to_masks)

    return collate


def source_mask(source_ids: np.ndarray, attend_to_masks: bool) -> np.ndarray:
    """[rows, source_len] int32: 1 where attended to, that is not at <pad> nor, unless wished, at <mask>.

    A sentence that is masked from end to end is attended to all the same: an attention must look at something.
    """
    present = source_ids != PAD_INDEX
    unmasked = present & (source_ids != MASK_INDEX)
    use_masks = attend_to_masks | ~unmasked.any(axis=1, keepdims=True)
    return np.where(use_masks, present, unmasked).astype(np.int32)


def _batch(source_ids: np.ndarray, inputs: np.ndarray, positions: np.ndarray, labels: np.ndarray,
           attend_to_masks: bool) -> Batch:
    return Batch(source_ids, source_mask(source_ids, attend_to_masks), inputs, np.ascontiguousarray(positions),
                 (labels != PAD_INDEX).astype(np.int32), labels)
