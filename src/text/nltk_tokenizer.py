"""nltk's word_tokenize at the speed of a look-up: the same tokens, found chunk by chunk.

A chunk is what stands between spaces. nltk's rules look over the edge of a chunk in two cases only: whether a quotation
mark begins the line, and whether a full stop, perhaps with closing brackets and quotation marks after it, ends the
line. A chunk together with the line ends that touch it therefore always gives the same tokens. Each distinct
one is taken to nltk once, many in one call, as a call costs more than its text.
"""
import re
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from src.common.errors import MassError
from src.text.recent_words import RecentWords

_CLOSERS = re.escape("])}>\"'»”’")  # what may follow the full stop that ends a line
_CLOSERS_AT_END = re.compile(f" [{_CLOSERS}][{_CLOSERS} ]*$", re.MULTILINE)
_GLUE = "\x1f"  # stands for a space inside a chunk
_NEIGHBOUR = "\ufdef"  # a chunk that no rule knows
_MAX_CHUNKS = 40_000  # about 8 MB; most of a larger number would not come again soon
_CHUNKS_A_CALL = 1000

# No rule applies inside such a chunk, or between it and what follows, but for the contractions and the mark at its end.
_PLAIN = re.compile(r"((?:[A-Za-z0-9]|\.(?!\.)|-(?!-)|[,:](?=[0-9]))+)([,;:?!]?)")
_CONTRACTION = re.compile("cannot|gimme|gonna|gotta|lemme|wanna", re.IGNORECASE)

# At the start of a line, these give other tokens than after a space.
_SPECIAL_START = re.compile("\"[\"'`]|''")
# At its end, a full stop is split off what is before; the other closers are left to nltk.
_FINAL_STOP = re.compile(f"(.*[^.{_GLUE}])\\.([\")”’]?)", re.DOTALL)
_SPECIAL_END = re.compile(f"\\.[{_CLOSERS}]*$|['{_GLUE}]")
_CLOSER_TOKENS = {"": "", '"': " ''", ")": " )", "”": " ”", "’": " ’"}


class ChunkTokenizer(RecentWords):
    """Tokens, separated by spaces, by chunk. In a chunk `\\n` stands for the start and the end of its line."""

    def __init__(self, split: Callable[[str], list[str]]):
        """`split`: `word_tokenize` for one line."""
        super().__init__(_MAX_CHUNKS)
        self._split = split

    def tokenize(self, text: str) -> tuple[str, int]:
        """Tokenize lines that each end with `\\n`; returns lines of tokens, and the number of tokens.

        The only white space between words is a single space, and there is none at the ends of a line; there is
        no `\\x1f` and no U+FDEF.
        """
        if not text:
            return "", 0
        text = _CLOSERS_AT_END.sub(lambda match: match[0].replace(" ", _GLUE), text)
        chunks = ("\n" + text.replace("\n", "\n \n")[:-2]).split(" ")
        self._learn(set(chunks).difference(self))
        lines = " ".join(map(self.__getitem__, chunks)).replace("\n ", "\n")
        self.forget_old_words(chunks)
        return lines, lines.count(" ") + text.count("\n") - chunks.count("\n\n")

    def _learn(self, chunks: Collection[str]) -> None:
        """Add chunks. Those at the ends of a line mostly give the tokens they would give inside: that comes first."""
        at_ends = {chunk: _as_inside_a_line(chunk) for chunk in chunks if "\n" in chunk}
        inside = {same.bare for same in at_ends.values() if same}
        inside.update(chunk for chunk in chunks if chunk not in at_ends)
        self._learn_inside(inside.difference(self))
        for chunk, same in at_ends.items():
            self[chunk] = self[same.bare] + same.end if same else self._split_at_line_end(chunk)

    def _learn_inside(self, chunks: Iterable[str]) -> None:
        """Add chunks inside a line, those on which nltk's rules have an effect by way of nltk."""
        others = []
        for chunk in chunks:
            match = _PLAIN.fullmatch(chunk)
            if match and not _CONTRACTION.search(chunk):
                self[chunk] = " ".join(match.groups()) if match[2] else chunk
            else:
                others.append(chunk)
        separator = f" {_NEIGHBOUR} "
        for start in range(0, len(others), _CHUNKS_A_CALL):
            some = others[start : start + _CHUNKS_A_CALL]
            tokens = " ".join(self._ask(f"{_NEIGHBOUR} {separator.join(some)} {_NEIGHBOUR}"))
            split = tokens.removeprefix(f"{_NEIGHBOUR} ").removesuffix(f" {_NEIGHBOUR}").split(separator)
            self.update(zip(some, split, strict=True))

    def _ask(self, line: str) -> list[str]:
        try:
            return self._split(line)
        except TimeoutError as error:  # nltk gives a rule five seconds
            longest = max(line.split(" "), key=len)
            raise MassError(
                f"nltk takes too long over a word of {len(longest):,} characters: {longest[:60]!r}...; is this text?"
            ) from error

    def _split_at_line_end(self, chunk: str) -> str:
        bare = chunk.strip("\n").replace(_GLUE, " ")
        if not bare:
            return "\n"
        before = [] if chunk.startswith("\n") else [_NEIGHBOUR]
        after = [] if chunk.endswith("\n") else [_NEIGHBOUR]
        tokens = self._ask(" ".join([*before, bare, *after]))
        return " ".join(tokens[len(before) : len(tokens) - len(after)]) + ("" if after else "\n")


class _InsideALine(NamedTuple):
    bare: str  # a chunk without line ends
    end: str  # what comes after its tokens


def _as_inside_a_line(chunk: str) -> _InsideALine | None:
    """How a chunk that touches a line end is like one that does not; None if it is not."""
    bare, at_end = chunk.removeprefix("\n"), chunk.endswith("\n")
    if chunk.startswith("\n") and _SPECIAL_START.match(bare):
        return None
    if not at_end:
        return _InsideALine(bare, "")
    bare = bare[:-1]
    if match := _FINAL_STOP.fullmatch(bare):
        return _InsideALine(match[1], f" .{_CLOSER_TOKENS[match[2]]}\n")
    return None if not bare or _SPECIAL_END.search(bare) else _InsideALine(bare, "\n")
