"""Predictions for a whole file of text or for a stream."""
import sys
from collections.abc import Iterator
from dataclasses import asdict

from src.checkpoints.find import ModelFiles
from src.common.line_stream import LineStream
from src.common.progress import Progress
from src.common.resumable_output import ResumableOutput
from src.inference.model import load_model
from src.inference.options import STREAM, GenerationOptions
from src.inference.output import write_lines
from src.inference.raw_text import TextCounts, TextInput, warn_of_undecodable_lines
from src.inference.text_generator import TextGenerator, best_texts, output_lines
from src.inference.text_windows import WINDOW, EmptyPredictions, check_text, describe_job, read_windows
from src.text.text_processing import TextProcessing

_BATCHES_AHEAD = 4  # batches that are read from a stream at once, to be sorted by length


def generate_text(files: ModelFiles, text: TextProcessing, options: GenerationOptions) -> None:
    """Load the model and write the predictions for a file or for standard input.

    Line i of the output is the prediction for line i of the input; an empty line yields an empty line. The predictions
    for a stream are printed as soon as they are found; those for a file are written window by window, so that memory
    does not depend on its length. An output file appears when it is complete; until then the finished lines are in the
    folder `<output>.part`, and an equal command continues after them (`ResumableOutput`). Call `options.check` first.

    Raises:
        MassError: the input cannot be read (a file is read once before the search), or the model cannot be loaded.
        UsageError: another job has left its unfinished predictions for the same output.
    """
    reader = TextInput(files, text, options.strict)
    if options.input == STREAM:
        _generate_for_stream(files, text, options, reader)
    else:
        total = check_text(options.input, options.errors, reader if options.strict else None)
        if options.output:
            _write_file(files, text, options, reader, total)
        else:
            windows = _Windows(files, text, options, reader, total, 0)
            write_lines(None, (lines for lines, _ in windows.results()))
    reader.warn()


class _Windows:
    """The windows of a file and their predictions, after the first `first` of its `total` lines."""

    def __init__(self, files: ModelFiles, text: TextProcessing, options: GenerationOptions, reader: TextInput,
                 total: int, first: int):
        self._options, self._reader, self._total, self._first = options, reader, total, first
        model = load_model(files)
        compiles = not model.network.transformer.operators.kernel_library  # for each new length
        self._generator = TextGenerator(model, text, files.config.dataset_config.eval_batch_size,
                                        lengths_known=not compiles or total <= WINDOW)

    def results(self) -> Iterator[tuple[list[str], EmptyPredictions]]:
        """Yield the lines of the output for each window, and how many of its predictions are empty."""
        options = self._options
        with Progress("search", self._total - self._first, "sentences") as progress:
            for number, lines in read_windows(options.input, options.errors, self._first):
                predictions = self._generator.generate(self._reader.read(lines, options.input, number), progress)
                yield (output_lines(lines, predictions, options.json),
                       EmptyPredictions.of(lines, best_texts(predictions)))


def _write_file(files: ModelFiles, text: TextProcessing, options: GenerationOptions, reader: TextInput,
                total: int) -> None:
    with ResumableOutput(options.output, describe_job(files, text, options), options.overwrite) as output:
        empty = EmptyPredictions()
        if output.count:
            reader.counts, empty = TextCounts(**output.notes["counts"]), EmptyPredictions(*output.notes["empty"])
            print(f"continuing after line {output.count:,} of {total:,} ({output.folder})", file=sys.stderr, flush=True)
        try:
            for lines, found in _Windows(files, text, options, reader, total, output.count).results():
                empty += found
                output.append(lines, {"counts": asdict(reader.counts), "empty": [empty.no_words, empty.no_prediction]})
        except BaseException:
            if output.count:
                print(f"{output.count:,} of {total:,} lines are finished ({output.folder}): the same command continues "
                      f"after them", file=sys.stderr, flush=True)
            raise
        output.finish()
    print(f"{total:,} predictions are in {options.output}{empty}", file=sys.stderr, flush=True)


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
            yield output_lines(lines, generator.generate(encoded), options.json)

    write_lines(options.output, batches())
    warn_of_undecodable_lines(stream.name, stream.damaged)
    if not lines_read:
        print("warning: standard input was empty", file=sys.stderr)
