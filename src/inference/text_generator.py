"""Lines of raw text in, answers as people write them out."""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from src.dataset.batching.batch import Shape
from src.inference.examples import text_examples
from src.inference.generation import generate
from src.inference.model import Model
from src.inference.predictions import answer_symbols
from src.inference.raw_text import EncodedLines
from src.text.text_processing import ProcessedLines, TextProcessing
from src.transformer.decoding.options import SearchOptions
from src.transformer.transformer_for_infer import TransformerForInfer

_SHORTEST = 16  # symbols; shorter sources are padded to it


class Answer(NamedTuple):
    """One of the answers to a line."""

    text: str
    score: float  # what answers are ranked by
    log_prob: float  # of its symbols, summed


class Answerer:
    """Answers lines, many or a few at a time; what is compiled for the first ones serves the others.

    Args:
        rows: lines of a batch.
        lengths_known: all lines come at once, so that they are padded to lengths chosen for them; otherwise to
            seq_length, half of it, and so on.
        quiet: show no progress.
    """

    def __init__(self, model: Model, text: TextProcessing, rows: int, lengths_known: bool = False, quiet: bool = True):
        config = model.files.config
        self._model, self._text, self._quiet = model, text, quiet
        self._infer = TransformerForInfer(model.network.transformer, rows,
                                          SearchOptions.from_config(config.model_config))
        self._shapes = () if lengths_known else _halving_shapes(rows, config.model_config.seq_length)

    def answer(self, lines: EncodedLines) -> list[list[Answer]]:
        """The n best answers to each line, best first; none to a line without words."""
        answers: list[list[Answer]] = [[] for _ in lines.processed.words]
        present = np.flatnonzero(lines.ids.lengths > 1)  # </s> alone
        if not len(present):
            return answers
        processed = ProcessedLines(*([column[index] for index in present] for column in lines.processed))
        files = self._model.files
        examples = text_examples(files, (), processed, lines.ids.take(present))
        found = generate(self._infer, examples.batches(files.config, self._shapes), self._quiet)
        copy_unk = files.config.model_config.copy_unk
        for number, (index, hypotheses) in enumerate(zip(present, found, strict=True)):
            source = examples.source_symbols(number) if copy_unk else None
            answers[index] = [
                Answer(self._text.to_text(answer_symbols(hypothesis, source, files.vocabulary)), hypothesis.score,
                       hypothesis.log_prob) for hypothesis in hypotheses]
        return answers


def best_texts(answers: Sequence[Sequence[Answer]]) -> list[str]:
    """The best answer to each line, empty where there is none."""
    return [best[0].text if best else "" for best in answers]


def _halving_shapes(rows: int, seq_length: int) -> tuple[Shape, ...]:
    lengths = [seq_length]
    while lengths[0] // 2 >= _SHORTEST:
        lengths.insert(0, lengths[0] // 2)
    return tuple(Shape(rows, length, 1) for length in lengths)
