"""What eval.py does with raw text: files and streams are answered or scored, people are talked to."""
import json
import sys
from collections.abc import Iterator, Sequence

from src.checkpoints.find import ModelFiles
from src.common.line_stream import LineStream
from src.inference.examples import Examples
from src.inference.interactive import Conversation, converse
from src.inference.model import load_model
from src.inference.options import STREAM, TextTask
from src.inference.output import write_lines
from src.inference.raw_text import TextInput, read_text, warn_of_damage
from src.inference.scoring import score_lines, target_log_probs
from src.inference.text_generator import Answer, Answerer, best_texts
from src.text.text_processing import TextProcessing

_BATCHES_AHEAD = 4  # that are read from a stream at once, to be sorted by length


def answer_text(files: ModelFiles, text: TextProcessing, task: TextTask) -> None:
    """Answer line i of the input on line i of the output; an empty line by an empty line.

    Answers to a stream are printed as soon as they are found; an output file appears when all of them are in it. Call
    `task.check` first.

    Raises:
        MassError: the input cannot be read, or the model not be loaded.
    """
    reader = TextInput(files, text, task.strict)
    if task.input == STREAM:
        _answer_stream(files, text, task, reader)
    else:
        lines = read_text(task.input, task.errors)
        encoded = reader.read(lines, task.input)
        answerer = Answerer(load_model(files), text, files.config.dataset_config.eval_batch_size, lengths_known=True,
                            quiet=False)
        write_lines(task.output, [_as_lines(lines, answerer.answer(encoded), task)])
    reader.warn()


def _answer_stream(files: ModelFiles, text: TextProcessing, task: TextTask, reader: TextInput) -> None:
    rows = files.config.dataset_config.eval_batch_size
    stream = LineStream(sys.stdin.fileno(), "standard input", task.errors, _BATCHES_AHEAD * rows)
    answerer = Answerer(load_model(files), text, rows)
    counted = 0

    def batches() -> Iterator[list[str]]:
        nonlocal counted
        for lines in stream.batches():
            encoded = reader.read(lines, stream.name, counted + 1)
            counted += len(lines)
            yield _as_lines(lines, answerer.answer(encoded), task)

    write_lines(task.output, batches())
    warn_of_damage(stream.name, stream.damaged)
    if not counted:
        print("warning: standard input held no line", file=sys.stderr)


def _as_lines(lines: Sequence[str], answers: Sequence[Sequence[Answer]], task: TextTask) -> list[str]:
    if not task.json:
        return best_texts(answers)
    return [json.dumps({"source": line, "answers": [answer._asdict() for answer in found]}, ensure_ascii=False)
            for line, found in zip(lines, answers, strict=True)]


def score_targets(files: ModelFiles, examples: Examples, output: str | None) -> None:
    """Write one line an example: the log-probability of its target, a tabulator, the number of its symbols."""
    model = load_model(files)
    write_lines(output, [score_lines(target_log_probs(model.network, examples.batches(files.config)))])


def talk(files: ModelFiles, text: TextProcessing, turns: int, strict: bool) -> None:
    """Answer what is typed, line by line, until the input ends."""
    reader = TextInput(files, text, strict)
    answerer = Answerer(load_model(files), text, rows=1)
    converse(Conversation(reader, answerer, turns))
