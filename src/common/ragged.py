"""Integer sequences of different lengths in two flat arrays."""
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np


class RaggedArray:
    """`n` integer sequences, stored end to end: sequence i is values[offsets[i] : offsets[i + 1]].

    Two arrays instead of n small ones take little memory, are quick to slice and can be memory-mapped files. The stored
    values may be narrower than int32 (uint16 if all ids fit), but the returned sequences are int32.
    """

    def __init__(self, values: np.ndarray, offsets: np.ndarray, lengths: np.ndarray | None = None):
        """Create an array from its parts; `lengths`, [n], may be given if the differences of `offsets` are known."""
        self.values = values  # [total], int32 or uint16
        self.offsets = offsets  # [n + 1], int64, offsets[0] == 0
        self._lengths = lengths

    @classmethod
    def from_sequences(cls, sequences: Iterable[Sequence[int]]) -> "RaggedArray":
        """Create an array of these sequences."""
        arrays = [np.asarray(sequence, dtype=np.int32) for sequence in sequences]
        values = np.concatenate(arrays) if arrays else np.zeros(0, np.int32)
        return cls.from_lengths(values, np.array([len(array) for array in arrays], dtype=np.int64))

    @classmethod
    def from_lengths(cls, values: np.ndarray, lengths: np.ndarray) -> "RaggedArray":
        """Create an array by splitting `values`, [total], into sequences of these lengths, [n]."""
        offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return cls(values, offsets)

    @classmethod
    def concatenate(cls, parts: Sequence["RaggedArray"]) -> "RaggedArray":
        """Create an array with copies of all sequences of several arrays (`ChainedRaggedArray` does not copy)."""
        lengths = np.concatenate([part.lengths for part in parts])
        return cls.from_lengths(np.concatenate([part.values for part in parts]), lengths)

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        """Return one sequence, [length] int32."""
        return self.values[self.offsets[index] : self.offsets[index + 1]].astype(np.int32, copy=False)

    @property
    def lengths(self) -> np.ndarray:
        """The length of each sequence, [n] int64 or int32."""
        return np.diff(self.offsets) if self._lengths is None else self._lengths

    def take(self, indices: np.ndarray) -> "RaggedArray":
        """Return a copy of the chosen sequences in this order; `indices`, [k], are not negative."""
        return self._slice(self.offsets[indices], self.offsets[np.asarray(indices) + 1])

    def truncated(self, length: int, last: int) -> "RaggedArray":
        """Return a copy whose sequences have at most `length` values; a truncated sequence ends with `last`."""
        starts, ends = self.offsets[:-1], self.offsets[1:]
        truncated = self._slice(starts, np.minimum(ends, starts + length))
        truncated.values[truncated.offsets[1:][self.lengths > length] - 1] = last
        return truncated

    def padded(self, indices: np.ndarray, length: int, pad: int = 0) -> np.ndarray:
        """Return the chosen sequences, filled up with `pad`: [len(indices), length] int32.

        An index of -1 yields an empty row.

        Raises:
            ValueError: a sequence is longer than `length`.
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

    def _slice(self, starts: np.ndarray, ends: np.ndarray) -> "RaggedArray":
        """Return a copy of the sequences values[starts[i] : ends[i]]."""
        lengths = ends - starts
        sliced = RaggedArray.from_lengths(self.values[:0], lengths)
        sliced.values = self.values[np.repeat(starts - sliced.offsets[:-1], lengths) + np.arange(sliced.offsets[-1])]
        return sliced


class ChainedRaggedArray:
    """Several ragged arrays as one, without copying them: the sequences of the first, then those of the second, etc."""

    def __init__(self, parts: Sequence[RaggedArray]):
        self.parts = list(parts)
        self._starts = np.concatenate([[0], np.cumsum([len(part) for part in self.parts])])

    def __len__(self) -> int:
        """Return the number of sequences."""
        return int(self._starts[-1])

    def __getitem__(self, index: int) -> np.ndarray:
        """Return one sequence, [length] int32.

        Raises:
            IndexError: there is no such sequence.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index = index % len(self)
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self.parts[number][index - int(self._starts[number])]

    @cached_property
    def lengths(self) -> np.ndarray:
        """The length of each sequence, [n]; copied into one array on first use."""
        return np.concatenate([part.lengths for part in self.parts])

    @property
    def values(self) -> np.ndarray:
        """All values, [total]; copied into one array at each call."""
        return np.concatenate([part.values for part in self.parts])

    def padded(self, indices: np.ndarray, length: int, pad: int = 0) -> np.ndarray:
        """Return the chosen sequences as `RaggedArray.padded` does.

        Raises:
            IndexError: there is no such sequence.
            ValueError: a sequence is longer than `length`.
        """
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
    """Return one or several ragged arrays as one, without copying them."""
    return parts[0] if len(parts) == 1 else ChainedRaggedArray(parts)
