"""Many integer sequences of different lengths in two flat arrays."""
from collections.abc import Iterable, Sequence

import numpy as np


class RaggedArray:
    """`n` int32 sequences stored end to end; `offsets[i]` to `offsets[i + 1]` is sequence i.

    Two arrays instead of n small ones: little memory, quick to slice, and able to live in a
    memory-mapped file.
    """

    def __init__(self, values: np.ndarray, offsets: np.ndarray):
        self.values = values  # [total], int32
        self.offsets = offsets  # [n + 1], int64, offsets[0] == 0

    @classmethod
    def from_sequences(cls, sequences: Iterable[Sequence[int]]) -> "RaggedArray":
        arrays = [np.asarray(sequence, dtype=np.int32) for sequence in sequences]
        offsets = np.zeros(len(arrays) + 1, dtype=np.int64)
        np.cumsum([len(array) for array in arrays], out=offsets[1:])
        values = np.concatenate(arrays) if arrays else np.zeros(0, np.int32)
        return cls(values, offsets)

    @classmethod
    def concatenate(cls, parts: Sequence["RaggedArray"]) -> "RaggedArray":
        lengths = np.concatenate([part.lengths for part in parts])
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return cls(np.concatenate([part.values for part in parts]), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """[n] int64, the length of each sequence."""
        return np.diff(self.offsets)

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
