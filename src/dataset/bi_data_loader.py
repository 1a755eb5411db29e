"""Loads pairs of sentences for fine-tuning and evaluation from BPE-encoded text."""
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from src.common.ragged import RaggedArray
from src.dataset.aligned_parts import PairPart, aligned_parts, require_equal_lines
from src.dataset.example_loader import (
    EncodedExamples,
    EncodingSettings,
    ExampleLoader,
    LineCounts,
    as_paths,
    length_flaws,
)
from src.dataset.token_ids import TokenIds
from src.utils.dictionary import EOS_INDEX, Dictionary


class BiLingualDataLoader(ExampleLoader):
    """Loads pairs: line i of a source file and line i of its target file.

    For training, pairs with an empty, too short or too long side are dropped and counted, each under one reason. With
    `keep_all`, which is meant for sets that are scored, no pair is dropped, so that record i is line i: a side longer
    than `max_len` is truncated (its last token is still `</s>`), an empty side is `</s>` alone, and both are counted
    as flawed.
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
        """Create a loader; the numbers of lines are compared here, before any record is made.

        Raises:
            UsageError: a length is impossible, or a source and its target are the same file.
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
    def encode(part: PairPart, token_ids: TokenIds, settings: EncodingSettings) -> EncodedExamples:
        texts = {"source": part.source.decode(settings.errors), "target": part.target.decode(settings.errors)}
        sides = {side: token_ids.encode(text) for side, text in texts.items()}
        lines = len(sides["source"])
        if lines != len(sides["target"]):
            raise RuntimeError(f"{part}: {lines} source lines, but {len(sides['target'])} target lines")
        counts = LineCounts(lines, damaged=Counter({side: text.damaged for side, text in texts.items()}))
        if settings.keep_all:
            for side, text in texts.items():
                places = [(example, position) for example, position in token_ids.continued_unknown(text, sides[side])
                          if position < settings.max_len - 1]
                if places:
                    counts.continued_unknown[side] = places
            return _keep_all(sides, settings, counts)
        return _drop_flawed(sides, settings, counts)


def _keep_all(sides: dict[str, RaggedArray], settings: EncodingSettings, counts: LineCounts) -> EncodedExamples:
    """Return all pairs, with long sides truncated; flaws are added to `counts`."""
    kept = {}
    for side, sequences in sides.items():
        flaws = length_flaws(sequences, settings)
        for reason, flaw in ((f"empty {side}", "empty"), (f"{side} truncated", "too long")):
            if count := int(flaws[flaw].sum()):
                counts.flawed[reason] += count
        kept[side] = sequences.truncated(settings.max_len, EOS_INDEX)
    return EncodedExamples(kept, counts)


def _drop_flawed(sides: dict[str, RaggedArray], settings: EncodingSettings, counts: LineCounts) -> EncodedExamples:
    """Return the pairs without a flaw; the others are added to `counts`, each under the first reason that holds."""
    flaws = {side: length_flaws(sequences, settings) for side, sequences in sides.items()}
    reasons = {"both sides empty": flaws["source"]["empty"] & flaws["target"]["empty"]}
    reasons |= {f"empty {side}": flaws[side]["empty"] for side in sides}
    reasons |= {f"{side} {flaw}": flaws[side][flaw] for flaw in ("too short", "too long") for side in sides}
    left = np.ones(counts.lines_read, bool)
    for reason, flawed in reasons.items():
        if count := int((left & flawed).sum()):
            counts.dropped[reason] = count
        left &= ~flawed
    kept = {side: sequences.take(np.flatnonzero(left)) for side, sequences in sides.items()}
    return EncodedExamples(kept, counts)
