"""Generation of text for lines of raw text, from a file or a stream."""
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from src.checkpoints.find import ModelFiles
from src.common.json_output import json_text
from src.common.line_stream import LineStream
from src.dataset.batching.batch import Shape
from src.inference.examples import examples_of_text
from src.inference.generation import generate
from src.inference.model import Model, load_model
from src.inference.options import STREAM, GenerationOptions
from src.inference.output import write_lines
from src.inference.predictions import prediction_tokens
from src.inference.raw_text import EncodedLines, TextInput, read_text, warn_of_undecodable_lines
from src.text.text_processing import ProcessedLines, TextProcessing
from src.transformer.decoding.options import SearchOptions
from src.transformer.transformer_for_infer import TransformerForInfer

_SHORTEST = 16  # tokens; shorter sources are padded to this length
_BATCHES_AHEAD = 4  # batches that are read from a stream at once, to be sorted by length


class Prediction(NamedTuple):
    """One of the predictions for a line."""

    text: str
    score: float  # by which predictions are ranked
    log_prob: float  # sum over the tokens


class TextGenerator:
    """Generates predictions for lines of text; graphs that are compiled for the first lines are used for all.

    Args:
        rows: the number of lines in a batch.
        lengths_known: whether all lines are given at once. If so, they are padded to lengths chosen for them; otherwise
            to seq_length, half of it, and so on.
        quiet: show no progress.
    """

    def __init__(self, model: Model, text: TextProcessing, rows: int, lengths_known: bool = False, quiet: bool = True):
        config = model.files.config
        self._model, self._text, self._quiet = model, text, quiet
        self._infer = TransformerForInfer(model.network.transformer, rows,
                                          SearchOptions.from_config(config.model_config))
        self._shapes = () if lengths_known else _halving_shapes(rows, config.model_config.seq_length)

    def generate(self, lines: EncodedLines) -> list[list[Prediction]]:
        """Return the n best predictions for each line, best first, and an empty list for a line without words."""
        predictions: list[list[Prediction]] = [[] for _ in lines.processed.words]
        present = np.flatnonzero(lines.ids.lengths > 1)  # an empty line is </s> alone
        if not len(present):
            return predictions
        processed = ProcessedLines(*([column[index] for index in present] for column in lines.processed))
        files = self._model.files
        examples = examples_of_text(files, (), processed, lines.ids.take(present))
        found = generate(self._infer, examples.batches(files.config, self._shapes), self._quiet)
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


def generate_text(files: ModelFiles, text: TextProcessing, options: GenerationOptions) -> None:
    """Load the model and write the predictions for a file or for standard input.

    Line i of the output is the prediction for line i of the input; an empty line yields an empty line. The predictions
    for a stream are printed as soon as they are found. An output file appears when it is complete. Call `options.check`
    first.

    Raises:
        MassError: the input cannot be read, or the model cannot be loaded.
    """
    reader = TextInput(files, text, options.strict)
    if options.input == STREAM:
        _generate_for_stream(files, text, options, reader)
    else:
        lines = read_text(options.input, options.errors)
        encoded = reader.read(lines, options.input)
        generator = TextGenerator(load_model(files), text, files.config.dataset_config.eval_batch_size,
                                  lengths_known=True, quiet=False)
        write_lines(options.output, [_output_lines(lines, generator.generate(encoded), options)])
    reader.warn()


def _generate_for_stream(files: ModelFiles, text: TextProcessing, options: GenerationOptions,
                         reader: TextInput) -> None:
    rows = files.config.dataset_config.eval_batch_size
    stream = LineStream(sys.stdin.fileno(), "standard input", options.errors, _BATCHES_AHEAD * rows)
    generator = TextGenerator(load_model(files), text, rows)
    lines_read = 0

    def batches() -> Iterator[list[str]]:
        nonlocal lines_read
        for lines in stream.batches():
            encoded = reader.read(lines, stream.name, lines_read + 1)
            lines_read += len(lines)
            yield _output_lines(lines, generator.generate(encoded), options)

    write_lines(options.output, batches())
    warn_of_undecodable_lines(stream.name, stream.damaged)
    if not lines_read:
        print("warning: standard input was empty", file=sys.stderr)


def _output_lines(lines: Sequence[str], predictions: Sequence[Sequence[Prediction]],
                  options: GenerationOptions) -> list[str]:
    if not options.json:
        return best_texts(predictions)
    return [json_text({"source": line, "answers": [prediction._asdict() for prediction in ranked]})
            for line, ranked in zip(lines, predictions, strict=True)]


def _halving_shapes(rows: int, seq_length: int) -> tuple[Shape, ...]:
    lengths = [seq_length]
    while lengths[0] // 2 >= _SHORTEST:
        lengths.insert(0, lengths[0] // 2)
    return tuple(Shape(rows, length, 1) for length in lengths)
