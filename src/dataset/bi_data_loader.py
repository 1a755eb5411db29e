"""Pairs of sentences for fine-tuning and evaluation, from two BPE-encoded texts."""
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from src.common.ragged import RaggedArray
from src.dataset.aligned_parts import PairPart, aligned_parts, require_equal_lines
from src.dataset.example_loader import (
    EncodingSettings,
    ExampleLoader,
    Examples,
    LineCounts,
    TokenIds,
    as_paths,
    length_flaws,
)
from src.utils.dictionary import EOS_INDEX, Dictionary


class BiLingualDataLoader(ExampleLoader):
    """Line i of a source file and line i of its target file are pair i.

    For training, pairs with an empty, too short or too long side are dropped and counted, each by one reason. With
    `keep_all`, for sets that are scored, no pair is dropped, so that record i is line i: a side longer than `max_len`
    is truncated (its last symbol stays `</s>`), an empty side is `</s>` alone, and both are counted in `flawed`.
    """

    kind = "pairs"

    def __init__(
        self,
        source_paths: str | Sequence[str],
        target_paths: str | Sequence[str],
        vocabulary: Dictionary,
        max_len: int = 64,
        keep_all: bool = False,
        min_len: int = 1,
        errors: str = "strict",
    ):
        """Compares the numbers of lines at once, before anything is made of the files.

        Raises:
            MassError: a file is missing or not UTF-8, or a source and its target have different numbers of lines.
        """
        super().__init__(vocabulary, EncodingSettings(max_len, min_len, keep_all, errors))
        self.file_pairs = list(zip(as_paths(source_paths), as_paths(target_paths), strict=True))
        for pair in self.file_pairs:
            require_equal_lines(*pair, errors)

    @property
    def inputs(self) -> list[str]:
        return [path for pair in self.file_pairs for path in pair]

    def parts(self) -> Iterator[PairPart]:
        for pair in self.file_pairs:
            yield from aligned_parts(*pair)

    @staticmethod
    def encode(part: PairPart, token_ids: TokenIds, settings: EncodingSettings) -> Examples:
        texts = {"source": part.source.decode(settings.errors), "target": part.target.decode(settings.errors)}
        sides = {side: token_ids.encode(text) for side, text in texts.items()}
        lines = len(sides["source"])
        if lines != len(sides["target"]):
            raise RuntimeError(f"{part}: {lines} lines belong to {len(sides['target'])}")
        counts = LineCounts(lines, damaged=Counter({side: text.damaged for side, text in texts.items()}))
        if settings.keep_all:
            return Examples(*_keep_all(sides, settings, counts))
        return Examples(*_drop_flawed(sides, settings, counts))


def _keep_all(sides: dict[str, RaggedArray], settings: EncodingSettings,
              counts: LineCounts) -> tuple[dict[str, RaggedArray], LineCounts]:
    kept = {}
    for side, sequences in sides.items():
        flaws = length_flaws(sequences, settings)
        for reason, flaw in ((f"empty {side}", "empty"), (f"{side} truncated", "too long")):
            if count := int(flaws[flaw].sum()):
                counts.flawed[reason] += count
        kept[side] = sequences.truncated(settings.max_len, EOS_INDEX)
    return kept, counts


def _drop_flawed(sides: dict[str, RaggedArray], settings: EncodingSettings,
                 counts: LineCounts) -> tuple[dict[str, RaggedArray], LineCounts]:
    flaws = {side: length_flaws(sequences, settings) for side, sequences in sides.items()}
    reasons = {"both sides empty": flaws["source"]["empty"] & flaws["target"]["empty"]}
    reasons |= {f"empty {side}": flaws[side]["empty"] for side in sides}
    reasons |= {f"{side} {flaw}": flaws[side][flaw] for flaw in ("too short", "too long") for side in sides}
    left = np.ones(counts.lines_read, bool)
    for reason, flawed in reasons.items():  # a pair counts under the first reason that holds
        if count := int((left & flawed).sum()):
            counts.dropped[reason] = count
        left &= ~flawed
    return {side: sequences.take(np.flatnonzero(left)) for side, sequences in sides.items()}, counts
