"""What the pre-training objectives have in common: one fragment of a sentence is masked and predicted."""
from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import numpy as np

from src.language_model.random_numbers import RandomNumbers
from src.utils.dictionary import MASK_INDEX, PAD_INDEX


class Fragments(NamedTuple):
    """A batch of sentences, each with a masked fragment. The decoder arrays hold only the positions it predicts."""

    source_ids: np.ndarray  # [batch, source_len] int32, the sentences as the encoder sees them
    decoder_input_ids: np.ndarray  # [batch, target_len] int32
    decoder_positions: np.ndarray  # [batch, target_len] int32, positions in the sentence
    labels: np.ndarray  # [batch, target_len] int32, <pad> after the fragment


class FragmentLanguageModel(ABC):
    """Masks a random fragment of each sentence on the encoder side and lets the decoder predict it.

    For a sentence x of n tokens, the fragment is [u, u + k) with k = round(fragment_ratio * n), at least 1, or with the
    fixed `fragment_length`, at most n; u is uniform. The decoder predicts x[u - lead .. u + k - 1]; its input is the
    token before each of them, the first of which is replaced by <mask>. Subclasses determine what the encoder sees
    (`corrupt`), and may choose the fragment differently (`fragment_lengths`, `fragment_starts`).

    Args:
        vocab_size: the size of the vocabulary, from which random tokens are drawn.
        fragment_ratio: the share of a sentence that is masked, 0 < ratio <= 1.
        fragment_length: a fixed k instead of a ratio (1 is similar to BERT, the length of the sentence to GPT).
    """

    lead: ClassVar[int] = 0  # the number of tokens before the fragment that are predicted too

    def __init__(self, vocab_size: int, fragment_ratio: float = 0.5, fragment_length: int | None = None):
        self.vocab_size = vocab_size
        self.fragment_ratio = fragment_ratio
        self.fragment_length = fragment_length

    def fragment_lengths(self, lengths: np.ndarray) -> np.ndarray:
        """Return k for sentences of these lengths, [batch]; it is 0 for empty rows."""
        wanted = (np.rint(self.fragment_ratio * lengths).astype(np.int64)
                  if self.fragment_length is None else np.full_like(lengths, self.fragment_length))
        return np.minimum(np.maximum(wanted, 1), lengths)

    def fragment_starts(self, lengths: np.ndarray, fragment: np.ndarray, generator: RandomNumbers) -> np.ndarray:
        """Return u, the first position of the fragment, for sentences of these lengths, [batch]; uniform in 0 .. n - k.

        Args:
            lengths: [batch], n.
            fragment: [batch], k, the lengths of the fragments.
            generator: the random numbers.
        """
        return generator.integers(0, lengths - fragment, endpoint=True)

    def target_lengths(self, lengths: np.ndarray) -> np.ndarray:
        """Return the greatest numbers of tokens to predict for sentences of these lengths, [batch]."""
        return np.minimum(self.fragment_lengths(lengths) + self.lead, lengths)

    def target_length(self, source_length: int) -> int:
        """Return the greatest number of tokens to predict for sentences of up to `source_length` tokens."""
        return int(self.target_lengths(np.arange(source_length + 1)).max())

    @abstractmethod
    def corrupt(self, ids: np.ndarray, generator: RandomNumbers) -> np.ndarray:
        """Return what the encoder sees instead of each token of `ids`, [batch, source_len], if it is in the fragment.

        The result has the same shape. Random numbers are drawn for all positions, so that those of a position do not
        depend on the fragment.
        """

    def __call__(self, ids: np.ndarray, lengths: np.ndarray, generator: RandomNumbers) -> Fragments:
        """Draw a fragment for each sentence.

        Args:
            ids: [batch, source_len] int32, padded sentences.
            lengths: [batch], the lengths of the sentences.
            generator: the random numbers.
        """
        fragment = self.fragment_lengths(lengths)
        starts = self.fragment_starts(lengths, fragment, generator)
        columns = np.arange(ids.shape[1])
        in_fragment = (columns >= starts[:, None]) & (columns < (starts + fragment)[:, None])
        source_ids = np.where(in_fragment, self.corrupt(ids, generator), ids)

        first = np.maximum(starts - self.lead, 0)  # the first predicted position
        offsets = np.arange(self.target_length(ids.shape[1]))
        predicted = offsets < (starts + fragment - first)[:, None]
        positions = np.where(predicted, first[:, None] + offsets, 0)
        labels = np.where(predicted, np.take_along_axis(ids, positions, axis=1), PAD_INDEX)
        inputs = np.full_like(labels, MASK_INDEX)
        inputs[:, 1:] = labels[:, :-1]
        inputs = np.where(predicted, inputs, PAD_INDEX)
        return Fragments(*(array.astype(np.int32) for array in (source_ids, inputs, positions, labels)))
