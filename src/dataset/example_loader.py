"""What the loaders of sentences and of pairs have in common: from parts of encoded text to arrays of examples."""
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from src.common.errors import UsageError
from src.common.ragged import RaggedArray
from src.dataset.token_ids import Places, TokenIds
from src.utils.dictionary import Dictionary


class EncodingSettings(NamedTuple):
    """Which lines become examples. Lengths are numbers of tokens, `</s>` included."""

    max_len: int = 64
    min_len: int = 1
    keep_all: bool = False  # for sets that are scored: no line is dropped, so that record i is line i
    errors: str = "strict"  # undecodable bytes: "strict" raises an error, "replace" replaces them by U+FFFD


@dataclass
class LineCounts:
    """The number of lines read, dropped and kept with a flaw."""

    lines_read: int = 0
    dropped: Counter[str] = field(default_factory=Counter)  # reason -> lines that were left out
    flawed: Counter[str] = field(default_factory=Counter)  # reason -> lines that were kept nevertheless
    damaged: Counter[str] = field(default_factory=Counter)  # column -> lines with undecodable bytes
    continued_unknown: dict[str, Places] = field(default_factory=dict)  # column -> see TokenIds.continued_unknown

    def add(self, other: "LineCounts") -> None:
        """Add the counts of other lines to these, which precede them."""
        for name, places in other.continued_unknown.items():  # only if all lines are kept: see EncodingSettings
            shifted = [(self.lines_read + example, position) for example, position in places]
            self.continued_unknown[name] = self.continued_unknown.get(name, []) + shifted
        self.lines_read += other.lines_read
        for mine, theirs in ((self.dropped, other.dropped), (self.flawed, other.flawed), (self.damaged, other.damaged)):
            mine.update(theirs)


class EncodedExamples(NamedTuple):
    """The examples of one part of the text, in the order of its lines."""

    columns: dict[str, RaggedArray]  # equally many sequences in each column, each of which ends with `</s>`
    counts: LineCounts


class ExampleLoader(ABC):
    """Turns BPE-encoded text into examples, one sequence of ids per column, one part of the text at a time.

    The parts are small and independent, so that any number of processes can encode them: `encode` is a pure function
    of a part, the vocabulary and the settings. Iterating over a loader yields its examples one by one.
    """

    kind: ClassVar[str]  # a key of `src.dataset.records.info.COLUMNS`

    def __init__(self, vocabulary: Dictionary, settings: EncodingSettings):
        """Create a loader.

        Raises:
            UsageError: max_len leaves no room for a token and `</s>`, or min_len is not between 1 and max_len.
        """
        if settings.max_len < 2:
            raise UsageError(f"--max_len {settings.max_len}: it must be at least 2: one token and </s>")
        if not 1 <= settings.min_len <= settings.max_len:
            raise UsageError(f"--min_len {settings.min_len}: it must be from 1 to --max_len {settings.max_len}")
        self.vocabulary = vocabulary
        self.settings = settings

    @property
    @abstractmethod
    def inputs(self) -> list[str]:
        """The paths of the text files."""

    @abstractmethod
    def parts(self) -> Iterator[Any]:
        """Yield the text in order, in at least one part.

        A part is a small object that can be sent to a worker process; its attribute `size` is in bytes.
        """

    @staticmethod
    @abstractmethod
    def encode(part: Any, token_ids: TokenIds, settings: EncodingSettings) -> EncodedExamples:
        """Return the examples of a part."""

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        """Yield the examples: column -> [length] int32, of which the last id is `</s>`."""
        token_ids = TokenIds(self.vocabulary)
        for part in self.parts():
            columns = self.encode(part, token_ids, self.settings).columns
            for index in range(len(next(iter(columns.values())))):
                yield {name: sequences[index] for name, sequences in columns.items()}


def length_flaws(sequences: RaggedArray, settings: EncodingSettings) -> dict[str, np.ndarray]:
    """Return which sequences are "empty", "too short" or "too long", [n] bool each; at most one of them holds."""
    lengths = sequences.lengths
    empty = lengths == 1  # `</s>` alone
    return {"empty": empty, "too short": ~empty & (lengths < settings.min_len), "too long": lengths > settings.max_len}


def as_paths(filepaths: str | Sequence[str]) -> list[str]:
    """Return one path or several as a list."""
    return [filepaths] if isinstance(filepaths, str) else list(filepaths)
