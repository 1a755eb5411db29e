"""Predictions for a whole file of text or for a stream."""
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict

from src.checkpoints.find import ModelFiles
from src.common.line_stream import LineStream
from src.common.progress import Progress
from src.common.resumable_output import ResumableOutput
from src.inference.model import Model, load_model
from src.inference.options import STREAM, GenerationOptions
from src.inference.output import write_lines
from src.inference.raw_text import TextCounts, TextInput, warn_of_undecodable_lines
from src.inference.text_generator import TextGenerator, output_lines
from src.inference.text_windows import (
    WINDOW,
    EmptyPredictions,
    UnchangedFile,
    check_text,
    describe_job,
    read_windows,
)
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
        file = UnchangedFile(options.input)
        total = check_text(options.input, options.errors, reader if options.strict else None)
        windows = _Windows(load_model(files), text, options, reader, file, total)
        if options.output:
            _write_file(windows, text, options)
        else:
            write_lines(None, windows.results(0))
            _say_of_empty(total, windows.empty)
    reader.warn()


class _Windows:
    """The windows of a file of `total` lines and their predictions; `empty` counts the empty ones so far."""

    def __init__(self, model: Model, text: TextProcessing, options: GenerationOptions, reader: TextInput,
                 file: UnchangedFile, total: int):
        self.model, self.reader, self.file, self.total = model, reader, file, total
        self.empty = EmptyPredictions()
        self._options = options
        compiles = not model.network.transformer.operators.kernel_library  # for each new length
        self._generator = TextGenerator(model, text, model.files.config.dataset_config.eval_batch_size,
                                        lengths_known=not compiles or total <= WINDOW)

    def results(self, first: int) -> Iterator[list[str]]:
        """Yield the lines of the output for each window after the first `first` lines."""
        options = self._options
        with Progress("search", self.total - first, "sentences") as progress:
            for number, lines in read_windows(options.input, options.errors, first):
                predictions = self._generator.generate(self.reader.read(lines, options.input, number), progress)
                self.file.require()
                self.empty += EmptyPredictions.of(predictions)
                yield output_lines(lines, predictions, options.json)


def _write_file(windows: _Windows, text: TextProcessing, options: GenerationOptions) -> None:
    with ResumableOutput(options.output, describe_job(windows.model, text, options), options.overwrite) as output:
        if output.count:
            windows.reader.counts = TextCounts(**output.notes["counts"])
            windows.empty = EmptyPredictions(*output.notes["empty"])
        if output.count and not output.complete:
            print(f"continuing after line {output.count:,} of {windows.total:,} ({output.folder})", file=sys.stderr,
                  flush=True)
        if not output.complete:
            _append_all(windows, output)
            windows.file.require()
            output.finish()
    _say_of_empty(windows.total, windows.empty, f" are in {options.output}")


def _append_all(windows: _Windows, output: ResumableOutput) -> None:
    try:
        with closing(windows.results(output.count)) as results:  # on an error, the progress ends before the message
            for lines in results:
                empty = windows.empty
                output.append(lines, {"counts": asdict(windows.reader.counts),
                                      "empty": [empty.no_words, empty.no_prediction]})
    except BaseException:
        if finished := output.lines_on_disk():
            print(f"{finished:,} of {windows.total:,} lines are finished ({output.folder}): the same command "
                  f"continues after them", file=sys.stderr, flush=True)
        raise


def _say_of_empty(total: int, empty: EmptyPredictions, where: str = "") -> None:
    if where or empty.total:
        print(f"{total:,} predictions{where}{empty}", file=sys.stderr, flush=True)


def _generate_for_stream(files: ModelFiles, text: TextProcessing, options: GenerationOptions,
                         reader: TextInput) -> None:
    rows = files.config.dataset_config.eval_batch_size
    stream = LineStream(sys.stdin.fileno(), "standard input", options.errors, _BATCHES_AHEAD * rows)
    generator = TextGenerator(load_model(files), text, rows)
    lines_read, empty = 0, EmptyPredictions()

    def batches() -> Iterator[list[str]]:
        nonlocal lines_read, empty
        for lines in stream.batches():
            encoded = reader.read(lines, stream.name, lines_read + 1)
            lines_read += len(lines)
            predictions = generator.generate(encoded)
            empty += EmptyPredictions.of(predictions)
            yield output_lines(lines, predictions, options.json)

    write_lines(options.output, batches())
    warn_of_undecodable_lines(stream.name, stream.damaged)
    if not lines_read:
        print("warning: standard input was empty", file=sys.stderr)
    _say_of_empty(lines_read, empty)
