"""What the sequences of records must be, whoever wrote them: the kernels trust the ids that they get."""
import numpy as np

from src.common.ragged import RaggedArray
from src.utils.dictionary import EOS_INDEX, PAD_INDEX

_BLOCK = 1 << 20  # values checked at a time, so that little memory is needed


def check_sequences(sequences: RaggedArray, vocabulary_size: int) -> None:
    """Check that every sequence has tokens of the vocabulary, no padding, and `</s>` at its end.

    Raises:
        ValueError: one has not, or the arrays do not fit each other; the message names the first such sequence from 1.
    """
    values, offsets, lengths = sequences.values, sequences.offsets, sequences.lengths
    if len(offsets) == 0 or offsets[0] != 0 or offsets[-1] != len(values) or len(lengths) != len(offsets) - 1:
        raise ValueError("the sequences are not those of the ids")
    for first in range(0, len(lengths), _BLOCK):
        ends = np.asarray(offsets[first : first + _BLOCK + 1])
        sizes = np.diff(ends)
        _require(sizes > 0, first, "is empty")
        _require(sizes == lengths[first : first + _BLOCK], first, "has another length")
        _require(values[ends[1:] - 1] == EOS_INDEX, first, "does not end with </s>")
    for first in range(0, len(values), _BLOCK):
        block = values[first : first + _BLOCK]
        good = (block > PAD_INDEX) & (block < vocabulary_size)
        if not good.all():
            place = first + int(np.argmin(good))
            number = int(np.searchsorted(offsets, place, side="right"))
            raise ValueError(f"sequence {number} has the id {values[place]}, but ids of tokens are from 1 to "
                             f"{vocabulary_size - 1}")


def _require(good: np.ndarray, first: int, problem: str) -> None:
    if not good.all():
        raise ValueError(f"sequence {first + int(np.argmin(good)) + 1} {problem}")
