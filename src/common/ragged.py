"""Many integer sequences of different lengths in two flat arrays."""
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np


class RaggedArray:
    """`n` integer sequences stored end to end; `offsets[i]` to `offsets[i + 1]` is sequence i.

    Two arrays instead of n small ones: little memory, quick to slice, and able to live in memory-mapped files. What is
    stored may be narrower than int32 (uint16 where ids are few); what is handed out, sequence by sequence or padded, is
    int32.
    """

    def __init__(self, values: np.ndarray, offsets: np.ndarray, lengths: np.ndarray | None = None):
        """`lengths`, [n] of integers: the differences of `offsets`, where they exist already."""
        self.values = values  # [total], int32 or uint16
        self.offsets = offsets  # [n + 1], int64, offsets[0] == 0
        self._lengths = lengths

    @classmethod
    def from_sequences(cls, sequences: Iterable[Sequence[int]]) -> "RaggedArray":
        arrays = [np.asarray(sequence, dtype=np.int32) for sequence in sequences]
        values = np.concatenate(arrays) if arrays else np.zeros(0, np.int32)
        return cls.from_lengths(values, np.array([len(array) for array in arrays], dtype=np.int64))

    @classmethod
    def from_lengths(cls, values: np.ndarray, lengths: np.ndarray) -> "RaggedArray":
        """Cut `values` into pieces of these lengths, [n]."""
        offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return cls(values, offsets)

    @classmethod
    def concatenate(cls, parts: Sequence["RaggedArray"]) -> "RaggedArray":
        """A copy of all sequences of several arrays (`ChainedRaggedArray` does not copy)."""
        lengths = np.concatenate([part.lengths for part in parts])
        return cls.from_lengths(np.concatenate([part.values for part in parts]), lengths)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        return self.values[self.offsets[index] : self.offsets[index + 1]].astype(np.int32, copy=False)

    @property
    def lengths(self) -> np.ndarray:
        """[n], int64 or int32: the length of each sequence."""
        return np.diff(self.offsets) if self._lengths is None else self._lengths

    def take(self, indices: np.ndarray) -> "RaggedArray":
        """A copy of the chosen sequences, in this order; `indices` [k] are not negative."""
        return self._cut(self.offsets[indices], self.offsets[np.asarray(indices) + 1])

    def truncated(self, length: int, last: int) -> "RaggedArray":
        """A copy whose sequences have at most `length` values; a sequence that is cut ends with the value `last`."""
        starts, ends = self.offsets[:-1], self.offsets[1:]
        cut = self._cut(starts, np.minimum(ends, starts + length))
        cut.values[cut.offsets[1:][self.lengths > length] - 1] = last
        return cut

    def padded(self, indices: np.ndarray, length: int, pad: int = 0) -> np.ndarray:
        """[len(indices), length] int32: the chosen sequences, filled up with `pad`.

        An index of -1 stands for an empty row. A sequence longer than `length` is a ValueError.
        """
        indices = np.asarray(indices, dtype=np.int64)
        starts = np.where(indices >= 0, self.offsets[indices], 0)
        lengths = np.where(indices >= 0, self.offsets[indices + 1] - starts, 0)
        if lengths.size and lengths.max() > length:
            raise ValueError(f"a sequence of {lengths.max()} does not fit into {length}")
        columns = np.arange(length)
        inside = columns < lengths[:, None]
        out = np.full(inside.shape, pad, dtype=np.int32)
        out[inside] = self.values[(starts[:, None] + columns)[inside]]
        return out

    def _cut(self, starts: np.ndarray, ends: np.ndarray) -> "RaggedArray":
        lengths = ends - starts
        cut = RaggedArray.from_lengths(self.values[:0], lengths)
        cut.values = self.values[np.repeat(starts - cut.offsets[:-1], lengths) + np.arange(cut.offsets[-1])]
        return cut


class ChainedRaggedArray:
    """Several ragged arrays as one, without copying them: the sequences of the first, then those of the second, ..."""

    def __init__(self, parts: Sequence[RaggedArray]):
        self.parts = list(parts)
        self._starts = np.concatenate([[0], np.cumsum([len(part) for part in self.parts])])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: int) -> np.ndarray:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index = index % len(self)
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self.parts[number][index - int(self._starts[number])]

    @cached_property
    def lengths(self) -> np.ndarray:
        """See `RaggedArray.lengths`; these are copied, when they are first asked for."""
        return np.concatenate([part.lengths for part in self.parts])

    @property
    def values(self) -> np.ndarray:
        """[total]: all values, copied into one array at each call."""
        return np.concatenate([part.values for part in self.parts])

    def padded(self, indices: np.ndarray, length: int, pad: int = 0) -> np.ndarray:
        """See `RaggedArray.padded`."""
        indices = np.asarray(indices, dtype=np.int64)
        if indices.size and indices.max() >= len(self):
            raise IndexError(f"index {indices.max()} of {len(self)} sequences")
        out = np.full((len(indices), length), pad, dtype=np.int32)
        numbers = np.searchsorted(self._starts, indices, side="right") - 1  # -1 for an empty row
        for number in np.unique(numbers[numbers >= 0]):
            rows = np.flatnonzero(numbers == number)
            out[rows] = self.parts[number].padded(indices[rows] - self._starts[number], length, pad)
        return out


Ragged = RaggedArray | ChainedRaggedArray


def chain(parts: Sequence[RaggedArray]) -> Ragged:
    """One or several ragged arrays as one, without copying."""
    return parts[0] if len(parts) == 1 else ChainedRaggedArray(parts)
