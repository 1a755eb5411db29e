"""Raw text as the model reads it: processed like its training text, encoded, and of bounded length."""
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from src.checkpoints.find import ModelFiles
from src.common.errors import MassError
from src.common.ragged import RaggedArray
from src.common.text_files import DecodedText, read_lines
from src.dataset.token_ids import TokenIds
from src.inference.examples import ExampleSet, examples_of_text
from src.text.text_processing import ProcessedLines, TextProcessing
from src.utils.dictionary import EOS_INDEX, UNK_INDEX

UNKNOWN_SHARE_TO_WARN = 0.2
"""A larger share of unknown tokens causes a warning. It is higher than for data sets because a single sentence may
consist of names."""

TRUNCATION_AND_SCORES = (
    "Scores are affected: the network reads only the beginning of these sources",
    "Scores are affected: log-probabilities and perplexities are those of the beginning of these targets",
)
"""What truncation means for the scores of pairs, for each side."""


class EncodedLines(NamedTuple):
    """Lines as words, as subwords, and as token ids that end with `</s>`, at most model_config.seq_length of them."""

    processed: ProcessedLines
    ids: RaggedArray


@dataclass
class TextCounts:
    """What was read since the last warning."""

    lines: int = 0
    truncated: int = 0
    tokens: int = 0  # without </s>
    unknown: int = 0  # tokens
    first_truncated: str = ""  # file and line


class TextInput:
    """Processes and encodes lines, and counts those that are too long.

    Args:
        strict: a sentence of more than model_config.seq_length tokens is an error; otherwise it is truncated.
    """

    def __init__(self, files: ModelFiles, text: TextProcessing, strict: bool = False):
        self._token_ids = TokenIds(files.vocabulary)
        self._text, self._strict = text, strict
        self._limit = files.config.model_config.seq_length
        self.counts = TextCounts()

    def read(self, lines: Sequence[str], name: str, first_line: int = 1) -> EncodedLines:
        """Encode lines.

        Args:
            name: the file of the lines, for messages.
            first_line: the number of the first of these lines in the file.

        Raises:
            MassError: a line is too long and `strict` is set.
        """
        processed = self._text.encode(lines)
        ids = self._ids(processed)
        long = np.flatnonzero(ids.lengths > self._limit)
        if len(long):
            where = f"{name}, line {first_line + long[0]}"
            if self._strict:
                raise MassError(f"{where}: {ids.lengths[long[0]]} tokens with </s>, but this model reads at most "
                                f"{self._limit} (model_config.seq_length): shorten the line, or leave out --strict to "
                                f"have it truncated")
            self.counts.first_truncated = self.counts.first_truncated or where
            ids = ids.truncated(self._limit, EOS_INDEX)
        self.counts.lines += len(lines)
        self.counts.truncated += len(long)
        self.counts.tokens += int(ids.lengths.sum()) - len(lines)
        self.counts.unknown += int(np.count_nonzero(ids.values == UNK_INDEX))
        return EncodedLines(processed, ids)

    def count_tokens(self, line: str) -> int:
        """Return the number of tokens of a line, `</s>` included."""
        return int(self._ids(self._text.encode([line])).lengths[0])

    def fits(self, line: str) -> bool:
        """Return whether the network can read the whole line."""
        return self.count_tokens(line) <= self._limit

    def warn(self, consequence: str = "") -> None:
        """Print to stderr how many lines were truncated since the last call, and whether many tokens were unknown.

        Args:
            consequence: a sentence on what it means that lines were truncated.
        """
        counts = self.counts
        if counts.truncated:
            print(f"warning: truncated {counts.truncated:,} of {counts.lines:,} lines to {self._limit} tokens "
                  f"(model_config.seq_length); the first is {counts.first_truncated} (--strict refuses such lines)"
                  f"{consequence and '. ' + consequence}", file=sys.stderr, flush=True)
        if counts.unknown > UNKNOWN_SHARE_TO_WARN * counts.tokens:
            print(f"warning: {counts.unknown / counts.tokens:.1%} of the tokens are <unk> to this model: is the text "
                  f"in its language, and are --tokenizer and --codes those of its training?", file=sys.stderr,
                  flush=True)
        self.counts = TextCounts()

    def _ids(self, lines: ProcessedLines) -> RaggedArray:
        """Return the token ids of each line; a line without words is `</s>` alone."""
        return self._token_ids.encode(DecodedText("".join(f"{line}\n" for line in lines.subwords), 0))


def read_text(path: str, errors: str) -> list[str]:
    """Return the lines of a text file.

    Raises:
        MassError: the file is missing or empty, or a line is not UTF-8 and `errors` is "strict".
    """
    damaged: Counter[str] = Counter()
    lines = list(read_lines(path, errors, damaged))
    if not lines:
        raise MassError(f"{path!r} is empty: it has no line to process")
    warn_of_undecodable_lines(path, damaged[path])
    return lines


def warn_of_undecodable_lines(name: str, lines: int) -> None:
    """Print to stderr how many lines contained undecodable bytes, if any did."""
    if lines:
        print(f"warning: replaced bytes that are not UTF-8 by U+FFFD in {lines:,} line{'s' * (lines != 1)} of {name}",
              file=sys.stderr)


def pairs_of_text(files: ModelFiles, text: TextProcessing, source: str, target: str, strict: bool,
                  errors: str) -> ExampleSet:
    """Return line i of a source file and line i of a target file as pair i; every line is kept.

    Raises:
        MassError: the files have different numbers of lines, or see `read_text` and `TextInput`.
    """
    sides = [read_text(path, errors) for path in (source, target)]
    if len(sides[0]) != len(sides[1]):
        raise MassError(f"{source!r} has {len(sides[0]):,} lines and {target!r} {len(sides[1]):,}: line i of one must "
                        f"belong to line i of the other")
    reader = TextInput(files, text, strict)
    encoded = []
    for lines, path, consequence in zip(sides, (source, target), TRUNCATION_AND_SCORES, strict=True):
        encoded.append(reader.read(lines, path))
        reader.warn(consequence)
    return examples_of_text(files, (source, target), *encoded[0], *encoded[1])
