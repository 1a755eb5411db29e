"""Loads sentences for pre-training from BPE-encoded text."""
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from src.common.files import require_file
from src.common.text_files import FilePart, file_parts
from src.dataset.example_loader import (
    EncodedExamples,
    EncodingSettings,
    ExampleLoader,
    LineCounts,
    as_paths,
    length_flaws,
)
from src.dataset.token_ids import TokenIds
from src.utils.dictionary import Dictionary


class MonoLingualDataLoader(ExampleLoader):
    """Loads one sentence per line. Empty lines and sentences that are too short or too long are dropped and counted."""

    kind = "sentences"

    def __init__(self, filepaths: str | Sequence[str], vocabulary: Dictionary, max_len: int = 64, min_len: int = 1,
                 errors: str = "strict"):
        super().__init__(vocabulary, EncodingSettings(max_len, min_len, errors=errors))
        self.filepaths = as_paths(filepaths)

    @property
    def inputs(self) -> list[str]:
        return self.filepaths

    def parts(self) -> Iterator[FilePart]:
        for path in self.filepaths:
            yield from file_parts(require_file(path, "text file"))

    @staticmethod
    def encode(part: FilePart, token_ids: TokenIds, settings: EncodingSettings) -> EncodedExamples:
        text = part.decode(settings.errors)
        sentences = token_ids.encode(text)
        flaws = length_flaws(sentences, settings)
        kept = sentences.take(np.flatnonzero(~np.logical_or.reduce(list(flaws.values()))))
        dropped = Counter({reason: int(count) for reason, flawed in flaws.items() if (count := flawed.sum())})
        counts = LineCounts(len(sentences), dropped, damaged=Counter(tokens=text.damaged))
        return EncodedExamples({"tokens": kept}, counts)
