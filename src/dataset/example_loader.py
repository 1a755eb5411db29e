"""What the loaders of sentences and of pairs have in common: parts of encoded text in, arrays of examples out."""
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from src.common.errors import UsageError
from src.common.ragged import RaggedArray
from src.common.text_files import DecodedText
from src.utils.dictionary import EOS_INDEX, Dictionary

_NO_TOKEN = -1


class EncodingSettings(NamedTuple):
    """Which lines become examples. Lengths are counted in symbols with `</s>`."""

    max_len: int = 64
    min_len: int = 1
    keep_all: bool = False  # for sets that are scored: nothing is dropped, so that record i is line i
    errors: str = "strict"  # undecodable bytes: "strict" is an error, "replace" makes them U+FFFD


@dataclass
class LineCounts:
    """What became of lines of text."""

    lines_read: int = 0
    dropped: Counter[str] = field(default_factory=Counter)  # reason -> lines left out
    flawed: Counter[str] = field(default_factory=Counter)  # reason -> lines kept nevertheless
    damaged: Counter[str] = field(default_factory=Counter)  # column -> lines that held undecodable bytes

    def add(self, other: "LineCounts") -> None:
        self.lines_read += other.lines_read
        for mine, theirs in ((self.dropped, other.dropped), (self.flawed, other.flawed), (self.damaged, other.damaged)):
            mine.update(theirs)


class Examples(NamedTuple):
    """The examples of one part of the text, in the order of its lines."""

    columns: dict[str, RaggedArray]  # equally many sequences each, every one ending with `</s>`
    counts: LineCounts


class TokenIds(dict[str, int]):
    """Ids of tokens of encoded text, as `Dictionary.text_index` has them; a line end is `</s>`, blanks are no token."""

    def __init__(self, vocabulary: Dictionary):
        super().__init__(vocabulary.text_index)
        self._look_up: Callable[[str], int] = vocabulary.text_index.__getitem__
        self.update({"\n": EOS_INDEX, "": _NO_TOKEN})

    def __missing__(self, token: str) -> int:
        return _NO_TOKEN if token.isspace() else self._look_up(token)

    def encode(self, text: DecodedText) -> RaggedArray:
        """The ids of each line with `</s>` at its end.

        Only spaces separate tokens, as in subword-nmt; a token of other white space alone is left out.
        """
        tokens = text.text.replace("\n", " \n ").split(" ")
        ids = np.fromiter(map(self.__getitem__, tokens), dtype=np.int32, count=len(tokens))
        ids = ids[ids != _NO_TOKEN]
        ends = np.flatnonzero(ids == EOS_INDEX) + 1  # no token of a text is `</s>`
        return RaggedArray(ids, np.concatenate([np.zeros(1, np.int64), ends]))


class ExampleLoader(ABC):
    """Turns BPE-encoded text into examples, one sequence of ids a column, a part of the text at a time.

    The parts are small and independent, so that any number of processes can encode them: `encode` is a pure
    function of a part, the vocabulary and the settings. Iterating over a loader yields its examples one by one.
    """

    kind: ClassVar[str]  # a key of `record_info.COLUMNS`

    def __init__(self, vocabulary: Dictionary, settings: EncodingSettings):
        """Raises UsageError: lengths that no sentence, or none with a word, can have."""
        if settings.max_len < 2:
            raise UsageError(f"--max_len {settings.max_len}: it must be at least 2: one symbol and </s>")
        if not 1 <= settings.min_len <= settings.max_len:
            raise UsageError(f"--min_len {settings.min_len}: it must be from 1 to --max_len {settings.max_len}")
        self.vocabulary = vocabulary
        self.settings = settings

    @property
    @abstractmethod
    def inputs(self) -> list[str]:
        """The text files."""

    @abstractmethod
    def parts(self) -> Iterator[Any]:
        """The text in order, as small objects that a worker process can be sent; at least one. `size` is in bytes."""

    @staticmethod
    @abstractmethod
    def encode(part: Any, token_ids: TokenIds, settings: EncodingSettings) -> Examples:
        """The examples of a part."""

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        """Yield examples: column -> [length] int32, the last id `</s>`."""
        token_ids = TokenIds(self.vocabulary)
        for part in self.parts():
            columns = self.encode(part, token_ids, self.settings).columns
            for index in range(len(next(iter(columns.values())))):
                yield {name: sequences[index] for name, sequences in columns.items()}


def length_flaws(sequences: RaggedArray, settings: EncodingSettings) -> dict[str, np.ndarray]:
    """What can be wrong with a sequence -> [n] bool: empty, too short or too long; at most one of them holds."""
    lengths = sequences.lengths
    empty = lengths == 1  # `</s>` alone
    return {"empty": empty, "too short": ~empty & (lengths < settings.min_len), "too long": lengths > settings.max_len}


def as_paths(filepaths: str | Sequence[str]) -> list[str]:
    """One path or several, as a list."""
    return [filepaths] if isinstance(filepaths, str) else list(filepaths)
