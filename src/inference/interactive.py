"""Interactive generation: a typed sentence in, its n best predictions and their scores out."""
import io
import sys

from src.checkpoints.find import ModelFiles
from src.common.errors import MassError
from src.inference.model import load_model
from src.inference.raw_text import TextInput
from src.inference.text_generator import Prediction, TextGenerator
from src.text.text_processing import TextProcessing

PROMPT = "> "


class Conversation:
    """A dialog with the model: the source of a prediction is the last turns of both sides, joined by spaces.

    The oldest turns are dropped until the source fits into model_config.seq_length. With one turn, every sentence is
    independent.
    """

    def __init__(self, reader: TextInput, generator: TextGenerator, turns: int = 1):
        self._reader, self._generator, self._turns = reader, generator, turns
        self._history: list[str] = []

    @property
    def history(self) -> tuple[str, ...]:
        """The turns so far, the oldest first; those that were dropped are not among them."""
        return tuple(self._history)

    def reply(self, line: str) -> list[Prediction]:
        """Return the n best replies, the first of which becomes a turn; an empty list if the line has no words.

        Raises:
            MassError: the line is too long (--strict), or there is no reply; the conversation is then unchanged.
        """
        if self._reader.count_tokens(line) == 1:  # </s> alone
            return []
        turns = [*self._history, line][-self._turns :]
        while len(turns) > 1 and not self._reader.fits(" ".join(turns)):
            del turns[0]
        (replies,) = self._generator.generate(self._reader.read([" ".join(turns)], "this sentence"))
        self._reader.warn()
        self._history = [*turns, replies[0].text]
        return replies

    def restart(self) -> None:
        """Forget all turns."""
        self._history = []


def run_interactive(files: ModelFiles, text: TextProcessing, turns: int, strict: bool) -> None:
    """Load the model and print predictions for each line of standard input until it ends.

    An empty line starts a new conversation.

    Args:
        turns: the number of turns in a source.
        strict: refuse a sentence that is too long; otherwise it is truncated.
    """
    reader = TextInput(files, text, strict)
    conversation = Conversation(reader, TextGenerator(load_model(files), text, rows=1), turns)
    terminal = sys.stdin.isatty()
    if not terminal and isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # an invalid byte would lose all lines that were read with it
    if terminal:
        import readline  # noqa: F401  (lets input() edit lines)

        print("Type a sentence; an empty line starts a new conversation, Ctrl-D or Ctrl-C ends the program.",
              flush=True)
    while (line := _read_line(terminal)) is not None:
        if not line.strip():
            conversation.restart()
            continue
        try:
            replies = conversation.reply(line)
        except MassError as error:
            print(error, file=sys.stderr, flush=True)
            continue
        for reply in replies:
            print(f"{reply.score:9.4f}  {reply.text}", flush=True)
        if not replies:
            print("(no words)", flush=True)


def _read_line(terminal: bool) -> str | None:
    """Return the next line, or None at the end of the input (Ctrl-D)."""
    while True:
        try:
            line = input(PROMPT if terminal else "").removesuffix("\r")
            line.encode("utf-8")
        except EOFError:
            if terminal:
                print()
            return None
        except UnicodeError:
            print("this line is not valid UTF-8: type it again", file=sys.stderr, flush=True)
        else:
            return line
