"""Pairs of sentences for fine-tuning and evaluation, from two BPE-encoded texts."""
from collections.abc import Iterator, Sequence

import numpy as np

from src.dataset.example_loader import ExampleLoader, as_paths, split_tokens
from src.utils.dictionary import Dictionary
from src.utils.errors import MassError, UsageError
from src.utils.text_files import read_lines


class BiLingualDataLoader(ExampleLoader):
    """Line i of a source file and line i of its target file are pair i.

    For training, pairs with an empty or too long side are dropped and counted. With `keep_all`, for sets that are
    scored, no pair is dropped, so that record i is line i: a side longer than `max_len` is truncated (its last symbol
    stays `</s>`), an empty side is `</s>` alone, and both are counted in `flawed`.
    """

    kind = "pairs"

    def __init__(
        self,
        source_paths: str | Sequence[str],
        target_paths: str | Sequence[str],
        vocabulary: Dictionary,
        max_len: int = 64,
        keep_all: bool = False,
    ):
        """Compares the numbers of lines at once, before anything is made of the files.

        Raises:
            MassError: a file is missing or not UTF-8, or a source and its target have different numbers of lines.
        """
        super().__init__(vocabulary, max_len)
        self.file_pairs = list(zip(as_paths(source_paths), as_paths(target_paths), strict=True))
        self.keep_all = keep_all
        self.total_lines = sum(_count_lines(*pair) for pair in self.file_pairs)

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        self._reset_counts()
        for source_path, target_path in self.file_pairs:
            for source, target in zip(read_lines(source_path), read_lines(target_path), strict=True):
                self.lines_read += 1
                sides = {"source": split_tokens(source), "target": split_tokens(target)}
                flaws = [flaw for side, tokens in sides.items() if (flaw := self._flaw(side, tokens))]
                if self.keep_all:
                    self.flawed.update(flaws)
                elif flaws:
                    self.dropped[flaws[0]] += 1
                    continue
                yield {side: self.vocabulary.encode(tokens[: self.max_len - 1]) for side, tokens in sides.items()}

    def _flaw(self, side: str, tokens: Sequence[str]) -> str | None:
        """What is wrong with one side of a pair, as the counts name it."""
        if not tokens:
            return f"empty {side}"
        if len(tokens) >= self.max_len:
            return f"{side} {'truncated' if self.keep_all else 'too long'}"
        return None


def _count_lines(source_path: str, target_path: str) -> int:
    """The number of lines of both files; a MassError if they differ."""
    if source_path == target_path:
        raise UsageError(f"source and target are the same file {source_path!r}")
    source_lines, target_lines = (sum(1 for _ in read_lines(path)) for path in (source_path, target_path))
    if source_lines != target_lines:
        raise MassError(
            f"source {source_path!r} has {source_lines:,} lines and target {target_path!r} has {target_lines:,}; "
            f"line i of one must be the partner of line i of the other"
        )
    return source_lines
