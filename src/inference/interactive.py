"""Typed sentences in, the n best answers with their scores out; with several turns, a conversation."""
import sys

from src.common.errors import MassError
from src.inference.raw_text import TextInput
from src.inference.text_generator import Answer, Answerer

PROMPT = "> "


class Conversation:
    """The last turns, of both sides, are the source of the next answer: joined by spaces, the oldest first.

    Turns that do not fit into the network's source are left out, the oldest first. With one turn, each sentence stands
    for itself.
    """

    def __init__(self, reader: TextInput, answerer: Answerer, turns: int = 1):
        self._reader, self._answerer, self._turns = reader, answerer, turns
        self._said: list[str] = []

    def answer(self, line: str) -> list[Answer]:
        """The n best answers, of which the first counts as said; none if the line has no words.

        Raises:
            MassError: the line is too long (--strict), or has no answer; the conversation is as it was before.
        """
        if self._reader.symbols(line) == 1:  # </s> alone
            return []
        turns = [*self._said, line][-self._turns :]
        while len(turns) > 1 and not self._reader.fits(" ".join(turns)):
            del turns[0]
        (answers,) = self._answerer.answer(self._reader.read([" ".join(turns)], "this sentence"))
        self._reader.warn()
        self._said = [*turns, answers[0].text]
        return answers

    def begin_anew(self) -> None:
        """Forget what was said."""
        self._said = []


def converse(conversation: Conversation) -> None:
    """Answer the lines of standard input until it ends; an empty line begins a new conversation."""
    terminal = sys.stdin.isatty()
    if terminal:
        import readline  # noqa: F401  (input() edits lines with it)

        print("Type a sentence; an empty line begins a new conversation, Ctrl-D or Ctrl-C ends it.", flush=True)
    while (line := _ask(terminal)) is not None:
        if not line.strip():
            conversation.begin_anew()
            continue
        try:
            answers = conversation.answer(line)
        except MassError as error:
            print(error, file=sys.stderr, flush=True)
            continue
        for answer in answers:
            print(f"{answer.score:9.4f}  {answer.text}", flush=True)
        if not answers:
            print("(no words)", flush=True)


def _ask(terminal: bool) -> str | None:
    """The next line; None at the end of the input (Ctrl-D)."""
    while True:
        try:
            line = input(PROMPT if terminal else "")
            line.encode("utf-8")
        except EOFError:
            if terminal:
                print()
            return None
        except UnicodeError:
            print("this line is not UTF-8: type it again", file=sys.stderr, flush=True)
        else:
            return line
