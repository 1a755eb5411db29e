"""What the three pre-training objectives share: one fragment of a sentence is hidden and predicted."""
from typing import NamedTuple

import numpy as np

from src.language_model.random_numbers import RandomNumbers
from src.utils.dictionary import MASK_INDEX, PAD_INDEX


class Fragments(NamedTuple):
    """A batch of sentences with a hidden fragment each; the decoder side is compact: fragment positions only."""

    source_ids: np.ndarray  # [batch, source_len] int32, the sentences as the encoder sees them
    decoder_input_ids: np.ndarray  # [batch, target_len] int32
    decoder_positions: np.ndarray  # [batch, target_len] int32, true positions within the sentence
    labels: np.ndarray  # [batch, target_len] int32, <pad> beyond the fragment


class FragmentLanguageModel:
    """Hides a random fragment of each sentence from the encoder and has the decoder predict it.

    For a sentence x of n symbols the fragment is [u, u + k), k = round(fragment_ratio * n) within 1 .. n, or the fixed
    `fragment_length` (at most n), and u is uniform. The decoder predicts x[u - lead .. u + k - 1] from
    the symbols before each, the first of which is replaced by <mask>. Subclasses say what the encoder sees.

    Args:
        vocab_size: size of the vocabulary, for random words.
        fragment_ratio: share of a sentence to hide, 0 < ratio <= 1.
        fragment_length: a fixed k instead (1 is BERT-like, the sentence's length GPT-like).
    """

    lead = 0  # symbols before the fragment that are predicted too

    def __init__(self, vocab_size: int, fragment_ratio: float = 0.5, fragment_length: int | None = None):
        self.vocab_size = vocab_size
        self.fragment_ratio = fragment_ratio
        self.fragment_length = fragment_length

    def fragment_lengths(self, lengths: np.ndarray) -> np.ndarray:
        """k for sentences of the given lengths; 0 for empty rows."""
        wanted = (np.rint(self.fragment_ratio * lengths).astype(np.int64)
                  if self.fragment_length is None else np.full_like(lengths, self.fragment_length))
        return np.minimum(np.maximum(wanted, 1), lengths)

    def target_lengths(self, lengths: np.ndarray) -> np.ndarray:
        """Longest decoder sequences that sentences of the given lengths can give."""
        return np.minimum(self.fragment_lengths(lengths) + self.lead, lengths)

    def target_length(self, source_length: int) -> int:
        """Longest decoder sequence that sentences of up to `source_length` symbols can give."""
        return int(self.target_lengths(np.arange(source_length + 1)).max())

    def corrupt(self, ids: np.ndarray, generator: RandomNumbers) -> np.ndarray:
        """What the encoder would see in place of each symbol of `ids` [batch, source_len], if it were hidden."""
        raise NotImplementedError

    def __call__(self, ids: np.ndarray, lengths: np.ndarray, generator: RandomNumbers) -> Fragments:
        """Draw a fragment for each sentence of `ids` [batch, source_len] int32 with true `lengths` [batch]."""
        fragment = self.fragment_lengths(lengths)
        starts = generator.integers(0, lengths - fragment, endpoint=True)  # u, uniform in 0 .. n - k
        columns = np.arange(ids.shape[1])
        hidden = (columns >= starts[:, None]) & (columns < (starts + fragment)[:, None])
        source_ids = np.where(hidden, self.corrupt(ids, generator), ids)

        first = np.maximum(starts - self.lead, 0)  # first predicted position
        offsets = np.arange(self.target_length(ids.shape[1]))
        inside = offsets < (starts + fragment - first)[:, None]
        positions = np.where(inside, first[:, None] + offsets, 0)
        labels = np.where(inside, np.take_along_axis(ids, positions, axis=1), PAD_INDEX)
        inputs = np.full_like(labels, MASK_INDEX)
        inputs[:, 1:] = labels[:, :-1]
        inputs = np.where(inside, inputs, PAD_INDEX)
        return Fragments(*(array.astype(np.int32) for array in (source_ids, inputs, positions, labels)))
