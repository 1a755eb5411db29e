"""What the loaders of sentences and of pairs have in common."""
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from src.utils.dictionary import Dictionary
from src.utils.errors import UsageError


class ExampleLoader(ABC):
    """Turns BPE-encoded text into examples, one int32 array of ids a column, and counts what it meets.

    Iterating reads the text from its beginning, a line at a time, and starts the counts anew; they are complete
    when the iteration is.
    """

    kind: ClassVar[str]  # a key of `record_info.COLUMNS`

    def __init__(self, vocabulary: Dictionary, max_len: int):
        """`max_len`: the longest sequence, counted in symbols with `</s>`; at least 2."""
        if max_len < 2:
            raise UsageError(f"--max_len {max_len}: it must be at least 2: one symbol and </s>")
        self.vocabulary = vocabulary
        self.max_len = max_len
        self.total_lines: int | None = None  # for progress, where it is known beforehand
        self._reset_counts()

    @abstractmethod
    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        """Yield examples: column -> [length] int32, the last id `</s>`."""

    def _reset_counts(self) -> None:
        self.lines_read = 0
        self.dropped: Counter[str] = Counter()  # reason -> lines left out
        self.flawed: Counter[str] = Counter()  # reason -> lines kept nevertheless


def split_tokens(line: str) -> list[str]:
    """The tokens of a line of encoded text; only spaces separate them, as in subword-nmt."""
    return [token for token in line.split(" ") if token and not token.isspace()]


def as_paths(filepaths: str | Sequence[str]) -> list[str]:
    """One path or several, as a list."""
    return [filepaths] if isinstance(filepaths, str) else list(filepaths)
