"""A long file of text: its lines in windows, what identifies the job, and its empty predictions."""
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from src.checkpoints.find import ModelFiles
from src.common.errors import MassError
from src.common.files import file_digest
from src.common.text_files import read_lines
from src.inference.options import GenerationOptions
from src.inference.raw_text import TextCounts, TextInput, warn_of_undecodable_lines
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
    def of(cls, lines: Sequence[str], predictions: Sequence[str]) -> "EmptyPredictions":
        """Return the numbers for some lines and their best predictions."""
        empty = [bool(line.strip()) for line, text in zip(lines, predictions, strict=True) if not text]
        return cls(empty.count(False), empty.count(True))

    def __add__(self, other: "EmptyPredictions") -> "EmptyPredictions":
        return EmptyPredictions(self.no_words + other.no_words, self.no_prediction + other.no_prediction)

    def __str__(self) -> str:
        """`; 3 of them are empty, 2 for lines without words`, or nothing."""
        total = self.no_words + self.no_prediction
        return f"; {total:,} of them are empty, {self.no_words:,} for lines without words" if total else ""


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


def describe_job(files: ModelFiles, text: TextProcessing, options: GenerationOptions) -> dict[str, Any]:
    """Return what the predictions for a file depend on; the names are those that a message gives for a difference."""
    return {
        "format": _FORMAT,
        "--input": file_digest(options.input),
        "model": file_digest(files.checkpoint),
        "vocabulary": files.vocabulary.fingerprint,
        "model_config": asdict(files.config.model_config),
        "processing of text": {**asdict(text), "codes": file_digest(text.codes) if text.codes else ""},
        "--format": "json" if options.json else "text",
        "--errors": options.errors,
    }
