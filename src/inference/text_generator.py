"""Generation of text for lines of raw text."""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from src.common.json_output import json_text
from src.common.progress import Progress
from src.dataset.batching.batch import Shape
from src.inference.examples import examples_of_text
from src.inference.generation import generate
from src.inference.model import Model
from src.inference.predictions import prediction_tokens
from src.inference.raw_text import EncodedLines
from src.text.text_processing import ProcessedLines, TextProcessing
from src.transformer.decoding.options import SearchOptions
from src.transformer.transformer_for_infer import TransformerForInfer

_SHORTEST = 16  # tokens; shorter sources are padded to this length


class Prediction(NamedTuple):
    """One of the predictions for a line."""

    text: str
    score: float  # by which predictions are ranked
    log_prob: float  # sum over the tokens


class TextGenerator:
    """Generates predictions for lines of text; graphs that are compiled for the first lines are used for all.

    Args:
        rows: the number of lines in a batch.
        lengths_known: pad to lengths that are chosen for the lines given at once; otherwise to seq_length, half of it,
            and so on, so that nothing is compiled for new lengths.
    """

    def __init__(self, model: Model, text: TextProcessing, rows: int, lengths_known: bool = False):
        config = model.files.config
        self._model, self._text = model, text
        self._infer = TransformerForInfer(model.network.transformer, rows,
                                          SearchOptions.from_config(config.model_config))
        self._shapes = () if lengths_known else _halving_shapes(rows, config.model_config.seq_length)

    def generate(self, lines: EncodedLines, shown: Progress | None = None) -> list[list[Prediction]]:
        """Return the n best predictions for each line, best first, and an empty list for a line without words.

        `shown` is updated by the number of lines as they are done.
        """
        predictions: list[list[Prediction]] = [[] for _ in lines.processed.words]
        present = np.flatnonzero(lines.ids.lengths > 1)  # an empty line is </s> alone
        if shown:
            shown.update(len(predictions) - len(present))
        if not len(present):
            return predictions
        processed = ProcessedLines(*([column[index] for index in present] for column in lines.processed))
        files = self._model.files
        examples = examples_of_text(files, (), processed, lines.ids.take(present))
        found = generate(self._infer, examples.batches(files.config, self._shapes), quiet=True, shown=shown)
        copy_unk = files.config.model_config.copy_unk
        for number, (index, hypotheses) in enumerate(zip(present, found, strict=True)):
            source = examples.source_tokens(number) if copy_unk else None
            predictions[index] = [
                Prediction(self._text.to_text(prediction_tokens(hypothesis, source, files.vocabulary)),
                           hypothesis.score, hypothesis.log_prob) for hypothesis in hypotheses]
        return predictions


def best_texts(predictions: Sequence[Sequence[Prediction]]) -> list[str]:
    """Return the text of the best prediction for each line, or an empty text if there is none."""
    return [ranked[0].text if ranked else "" for ranked in predictions]


def output_lines(lines: Sequence[str], predictions: Sequence[Sequence[Prediction]], as_json: bool) -> list[str]:
    """Return the line of the output for each line: the best text, or all predictions as a JSON object."""
    if not as_json:
        return best_texts(predictions)
    return [json_text({"source": line, "predictions": [prediction._asdict() for prediction in ranked]})
            for line, ranked in zip(lines, predictions, strict=True)]


def _halving_shapes(rows: int, seq_length: int) -> tuple[Shape, ...]:
    lengths = [seq_length]
    while lengths[0] // 2 >= _SHORTEST:
        lengths.insert(0, lengths[0] // 2)
    return tuple(Shape(rows, length, 1) for length in lengths)
