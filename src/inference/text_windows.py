"""A long file of text: its lines in windows, what identifies the job, and its empty predictions."""
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from src.common.errors import MassError
from src.common.files import file_digest, require_file
from src.common.text_files import read_lines
from src.inference.model import Model
from src.inference.options import GenerationOptions
from src.inference.raw_text import TextCounts, TextInput, warn_of_undecodable_lines
from src.inference.text_generator import Prediction
from src.text.text_processing import TextProcessing

WINDOW = 1024
"""The number of lines that are read, sorted by length, searched and written together."""
_FORMAT = 1  # increase this when the same job has other predictions


@dataclass(frozen=True)
class EmptyPredictions:
    """The numbers of empty predictions."""

    no_words: int = 0  # for lines without words, which are not searched
    no_prediction: int = 0  # where the search found nothing better than the end

    @classmethod
    def of(cls, predictions: Sequence[Sequence[Prediction]]) -> "EmptyPredictions":
        """Return the numbers for the predictions for some lines."""
        return cls(sum(not ranked for ranked in predictions),
                   sum(bool(ranked) and not ranked[0].text for ranked in predictions))

    def __add__(self, other: "EmptyPredictions") -> "EmptyPredictions":
        return EmptyPredictions(self.no_words + other.no_words, self.no_prediction + other.no_prediction)

    @property
    def total(self) -> int:
        """The number of all empty predictions."""
        return self.no_words + self.no_prediction

    def __str__(self) -> str:
        """`; 3 of them are empty, 2 for lines without words`, or nothing."""
        return f"; {self.total:,} of them are empty, {self.no_words:,} for lines without words" if self.total else ""


def check_text(path: str, errors: str, strict_reader: TextInput | None) -> int:
    """Read a file once, so that its mistakes are found before the search; return its number of lines.

    Args:
        strict_reader: refuses lines that are too long; None accepts them.

    Raises:
        MassError: the file is missing or empty, a line is not UTF-8 and `errors` is "strict", or a line is too long.
    """
    damaged: Counter[str] = Counter()
    total = 0
    for number, lines in _windows(path, errors, 0, damaged):
        total += len(lines)
        if strict_reader:
            strict_reader.read(lines, path, number)
    if not total:
        raise MassError(f"{path!r} is empty: it has no line to process")
    warn_of_undecodable_lines(path, damaged[path])
    if strict_reader:
        strict_reader.counts = TextCounts()
    return total


def read_windows(path: str, errors: str, first: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines of a file after the first `first` in windows, each with the number of its first line."""
    return _windows(path, errors, first, None)


def _windows(path: str, errors: str, first: int, damaged: Counter[str] | None) -> Iterator[tuple[int, list[str]]]:
    lines = islice(read_lines(path, errors, damaged), first, None)
    while window := list(islice(lines, WINDOW)):
        yield first + 1, window
        first += len(window)


class UnchangedFile:
    """A file that is read several times and must stay the same.

    Args:
        path: the file, as it is now.
    """

    def __init__(self, path: str):
        self.path, self._stamp = path, _stamp(require_file(path, "text file"))

    def require(self) -> None:
        """Raise a MassError if the file has changed, was replaced or is gone."""
        try:
            same = _stamp(self.path) == self._stamp
        except OSError:
            same = False
        if not same:
            raise MassError(f"{self.path!r} has changed since the job began: start it again when the file is complete")


def _stamp(path: str) -> tuple[int, ...]:
    state = os.stat(path)
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


def describe_job(model: Model, text: TextProcessing, options: GenerationOptions) -> dict[str, Any]:
    """Return what the predictions for a file depend on; the names are those that a message gives for a difference."""
    files = model.files
    return {
        "format": _FORMAT,
        "--input": file_digest(options.input),
        "model": file_digest(files.checkpoint),
        "vocabulary": files.vocabulary.fingerprint,
        "model_config": asdict(files.config.model_config),
        "operators and number formats": model.computation,
        "processing of text": {**asdict(text), "codes": file_digest(text.codes) if text.codes else ""},
        "--format": "json" if options.json else "text",
        "--errors": options.errors,
    }
