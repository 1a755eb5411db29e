"""Sentences for pre-training, from BPE-encoded text."""
from collections.abc import Iterator, Sequence

import numpy as np

from src.dataset.example_loader import ExampleLoader, as_paths, split_tokens
from src.utils.dictionary import Dictionary
from src.utils.text_files import read_lines


class MonoLingualDataLoader(ExampleLoader):
    """One sentence a line. Empty lines, and sentences longer than `max_len`, are dropped and counted."""

    kind = "sentences"

    def __init__(self, filepaths: str | Sequence[str], vocabulary: Dictionary, max_len: int = 64):
        super().__init__(vocabulary, max_len)
        self.filepaths = as_paths(filepaths)

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        self._reset_counts()
        for path in self.filepaths:
            for line in read_lines(path):
                self.lines_read += 1
                tokens = split_tokens(line)
                if not tokens:
                    self.dropped["empty"] += 1
                elif len(tokens) >= self.max_len:
                    self.dropped["too long"] += 1
                else:
                    yield {"tokens": self.vocabulary.encode(tokens)}
