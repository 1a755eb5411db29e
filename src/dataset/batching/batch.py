"""A batch as the network takes it, and its shape."""
from typing import NamedTuple

import numpy as np


class Shape(NamedTuple):
    """The fixed size of a batch: its number of rows and their lengths in tokens."""

    rows: int
    source_len: int
    target_len: int


class Batch(NamedTuple):
    """Padded int32 arrays in the order of the network's arguments; a row holds one example or several, end to end.

    Segments number the examples of a row from 1: a token attends only to tokens of its own segment. Positions start at
    0 in each example. All arrays are 0 (the id of <pad>) in the padding.
    """

    source_ids: np.ndarray  # [rows, source_len]
    source_positions: np.ndarray  # [rows, source_len]
    source_segments: np.ndarray  # [rows, source_len]
    source_mask: np.ndarray  # [rows, source_len], 1 where the position may be attended to
    decoder_input_ids: np.ndarray  # [rows, target_len]
    decoder_positions: np.ndarray  # [rows, target_len]
    decoder_segments: np.ndarray  # [rows, target_len]
    labels: np.ndarray  # [rows, target_len], <pad> where nothing is predicted

    @property
    def target_tokens(self) -> int:
        """The number of tokens to predict."""
        return int(np.count_nonzero(self.labels))

    @property
    def tokens(self) -> int:
        """The number of source and target tokens without padding."""
        return int(np.count_nonzero(self.source_ids)) + self.target_tokens
