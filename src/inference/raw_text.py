"""Raw text as a model reads it: processed as its training data was, encoded, and of bounded length."""
import sys
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from src.checkpoints.find import ModelFiles, find_text_processing
from src.common.errors import MassError, UsageError
from src.common.ragged import RaggedArray
from src.common.text_files import read_lines
from src.inference.examples import Examples, TextEncoder, text_examples
from src.text.text_processing import ProcessedLines, TextProcessing
from src.utils.dictionary import EOS_INDEX, UNK_INDEX

MAX_UNKNOWN_SHARE = 0.2
"""A higher one is warned of. With data sets it is a lower one, but a single sentence may well have names."""


class TextFlags(NamedTuple):
    """What the command line says of the text; None leaves it to what stands beside the checkpoint."""

    tokenizer: str | None = None
    codes: str | None = None
    lower_case: bool | None = None
    digits_to_hash: bool | None = None


def find_text(files: ModelFiles, flags: TextFlags) -> TextProcessing:
    """How the text of a model is processed.

    Raises:
        UsageError: nobody says it.
        MassError: the codes, or what stands beside the checkpoint, are missing or damaged.
    """
    beside = find_text_processing(files.checkpoint)
    if not beside and not flags.tokenizer:
        raise UsageError(f"beside {files.checkpoint!r} stands no text.json that says how raw text becomes the words of "
                         f"this model (training writes it if dataset_config.tokenizer is set): give --tokenizer (nltk, "
                         f"jieba, or none for text that is tokenized) and, as its training text was, --codes, "
                         f"--lower_case, --digits_to_hash")
    base = beside or TextProcessing(flags.tokenizer)
    chosen = (given if given is not None else known for given, known in (
        (flags.tokenizer, base.tokenizer), (flags.lower_case, base.lower_case),
        (flags.digits_to_hash, base.digits_to_hash), (flags.codes, base.codes)))
    text = TextProcessing(*chosen)
    text.require_codes(files.vocabulary, "--codes")
    text.check()
    if text.note:
        print(text.note, file=sys.stderr, flush=True)
    return text


class EncodedLines(NamedTuple):
    """Lines as words, as subwords, and as ids that end with </s>, no more than the network reads."""

    processed: ProcessedLines
    ids: RaggedArray


class TextInput:
    """Processes and encodes lines, and counts those that were too long.

    Args:
        strict: a sentence of more symbols than model_config.seq_length is an error; otherwise it is cut.
    """

    def __init__(self, files: ModelFiles, text: TextProcessing, strict: bool = False):
        self._encoder = TextEncoder(files.vocabulary)
        self._text, self._strict = text, strict
        self._limit = files.config.model_config.seq_length
        self._lines = self._cut = self._symbols = self._unknown = 0
        self._first_cut = ""

    def read(self, lines: Sequence[str], name: str, first_line: int = 1) -> EncodedLines:
        """Encode lines, of which the first is line `first_line` of `name`. Raises MassError as __init__ says."""
        processed = self._text.encode(lines)
        ids = self._encoder.ids(processed)
        long = np.flatnonzero(ids.lengths > self._limit)
        if len(long):
            where = f"{name}, line {first_line + long[0]}"
            if self._strict:
                raise MassError(f"{where}: {ids.lengths[long[0]]} symbols with </s>, but this model reads at most "
                                f"{self._limit} (model_config.seq_length): shorten it, or leave out --strict to have "
                                f"it cut")
            self._first_cut = self._first_cut or where
            ids = ids.truncated(self._limit, EOS_INDEX)
        self._lines += len(lines)
        self._cut += len(long)
        self._symbols += int(ids.lengths.sum()) - len(lines)  # without </s>
        self._unknown += int(np.count_nonzero(ids.values == UNK_INDEX))
        return EncodedLines(processed, ids)

    def symbols(self, line: str) -> int:
        """How many symbols a line has, </s> included."""
        return int(self._encoder.ids(self._text.encode([line])).lengths[0])

    def fits(self, line: str) -> bool:
        """Whether the network reads all of a line."""
        return self.symbols(line) <= self._limit

    def warn(self) -> None:
        """Say on stderr how many lines were cut since the last call, if any were, and that much is unknown, if so."""
        if self._cut:
            print(f"warning: {self._cut:,} of {self._lines:,} lines have more than {self._limit} symbols "
                  f"(model_config.seq_length) and were cut; the first is {self._first_cut} (--strict refuses them)",
                  file=sys.stderr, flush=True)
        if self._unknown > MAX_UNKNOWN_SHARE * self._symbols:
            print(f"warning: {self._unknown / self._symbols:.1%} of the symbols are <unk> to this model: is this "
                  f"text in its language, and are --tokenizer and --codes those of its training?",
                  file=sys.stderr, flush=True)
        self._lines = self._cut = self._symbols = self._unknown = 0
        self._first_cut = ""


def read_text(path: str, errors: str) -> list[str]:
    """The lines of a text file.

    Raises:
        MassError: it is missing, empty, or (strict) a line is not UTF-8.
    """
    damaged: Counter[str] = Counter()
    lines = list(read_lines(path, errors, damaged))
    if not lines:
        raise MassError(f"{path!r} is empty: there is no line to answer")
    warn_of_damage(path, damaged[path])
    return lines


def warn_of_damage(name: str, lines: int) -> None:
    """Say on stderr how many lines held undecodable bytes, if any did."""
    if lines:
        print(f"warning: {lines:,} lines of {name} are not UTF-8; what cannot be read is now U+FFFD", file=sys.stderr)


def pairs_of_text(files: ModelFiles, text: TextProcessing, source: str, target: str, strict: bool,
                  errors: str) -> Examples:
    """Line i of a source file and line i of a target file as pair i; no pair is left out.

    Raises:
        MassError: they have different numbers of lines, or see `read_text` and `TextInput`.
    """
    sides = [read_text(path, errors) for path in (source, target)]
    if len(sides[0]) != len(sides[1]):
        raise MassError(f"{source!r} has {len(sides[0]):,} lines and {target!r} {len(sides[1]):,}: line i of one must "
                        f"belong to line i of the other")
    reader = TextInput(files, text, strict)
    encoded = [reader.read(lines, path) for lines, path in zip(sides, (source, target), strict=True)]
    reader.warn()
    return text_examples(files, (source, target), *encoded[0], *encoded[1])
