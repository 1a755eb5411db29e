"""A fast form of nltk's word_tokenize, which caches the tokens of each chunk of text.

A chunk is the text between two spaces. nltk's rules depend on the context of a chunk in two cases only: whether a
quotation mark is at the start of the line, and whether a full stop, possibly followed by closing brackets and quotation
marks, is at its end. A chunk, together with the line ends that are adjacent to it, therefore always yields the same
tokens. Each distinct chunk is passed to nltk once, many chunks per call, because a call is expensive.
"""
import re
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from src.common.errors import MassError
from src.text.recent_words import RecentWords

_CLOSERS = re.escape("])}>\"'»”’")  # characters that may follow the full stop at the end of a line
# The search begins at the start of a run of closers only: a run that does not reach the end of its line is read once.
_CLOSERS_AT_END = re.compile(f"(?<![{_CLOSERS} ])[{_CLOSERS} ]++$", re.MULTILINE)
_GLUE = "\x1f"  # replaces a space inside a chunk
_NEIGHBOUR = "\ufdef"  # a chunk that no rule of nltk applies to
_MAX_CHUNKS = 40_000  # about 8 MB; further chunks would rarely be needed again
_CHUNKS_A_CALL = 1000

# No rule applies inside such a chunk or at its end, except for contractions and the punctuation mark at its end.
_PLAIN = re.compile(r"((?:[A-Za-z0-9]|\.(?!\.)|-(?!-)|[,:](?=[0-9]))+)([,;:?!]?)")
_CONTRACTION = re.compile("cannot|gimme|gonna|gotta|lemme|wanna", re.IGNORECASE)

# These yield different tokens at the start of a line than after a space.
_SPECIAL_START = re.compile("\"[\"'`]|''")
# At the end of a line, a full stop is a token of its own; other closing characters are left to nltk.
_FINAL_STOP = re.compile(f"(.*[^.{_GLUE}])\\.([\")”’]?)", re.DOTALL)
_SPECIAL_END = re.compile(f"\\.[{_CLOSERS}]*$|['{_GLUE}]")
_CLOSER_TOKENS = {"": "", '"': " ''", ")": " )", "”": " ”", "’": " ’"}


class ChunkTokenizer(RecentWords):
    """A cache from chunks to their tokens, separated by spaces.

    A chunk at the start or the end of a line includes a `\\n` on that side.
    """

    def __init__(self, split: Callable[[str], list[str]], max_chunks: int = _MAX_CHUNKS):
        """`split`: nltk's `word_tokenize` for one line; `max_chunks`: the size of the cache."""
        super().__init__(max_chunks)
        self._split = split

    def tokenize(self, text: str) -> tuple[str, int]:
        """Tokenize lines that each end with `\\n`; return the lines of tokens and the number of tokens.

        Words must be separated by single spaces, without other white space and without spaces at the ends of lines. The
        text must not contain `\\x1f` or U+FDEF.
        """
        if not text:
            return "", 0
        text = _CLOSERS_AT_END.sub(lambda match: match[0].replace(" ", _GLUE), text)
        chunks = ("\n" + text.replace("\n", "\n \n")[:-2]).split(" ")
        new = set(chunks).difference(self)
        self._add(new)
        lines = " ".join(map(self.__getitem__, chunks)).replace("\n ", "\n")
        self.drop_old_words(chunks, new)
        return lines, lines.count(" ") + text.count("\n") - chunks.count("\n\n")

    def _add(self, chunks: Collection[str]) -> None:
        """Add chunks. Most chunks at the ends of a line have the tokens of chunks inside a line, which come first."""
        at_ends = {chunk: _as_inside_a_line(chunk) for chunk in chunks if "\n" in chunk}
        inside = {same.bare for same in at_ends.values() if same}
        inside.update(chunk for chunk in chunks if chunk not in at_ends)
        self._add_inside(inside.difference(self))
        for chunk, same in at_ends.items():
            self[chunk] = self[same.bare] + same.end if same else self._split_at_line_end(chunk)

    def _add_inside(self, chunks: Iterable[str]) -> None:
        """Add chunks inside a line; nltk is called only for chunks that its rules apply to."""
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
            tokens = " ".join(self._split_line(f"{_NEIGHBOUR} {separator.join(some)} {_NEIGHBOUR}"))
            split = tokens.removeprefix(f"{_NEIGHBOUR} ").removesuffix(f" {_NEIGHBOUR}").split(separator)
            self.update(zip(some, split, strict=True))

    def _split_line(self, line: str) -> list[str]:
        try:
            return self._split(line)
        except TimeoutError as error:  # nltk limits each rule to five seconds
            longest = max(line.split(" "), key=len)
            raise MassError(
                f"nltk takes too long for a word of {len(longest):,} characters: {longest[:60]!r}...; is this text?"
            ) from error

    def _split_at_line_end(self, chunk: str) -> str:
        bare = chunk.strip("\n").replace(_GLUE, " ")
        if not bare:
            return "\n"
        before = [] if chunk.startswith("\n") else [_NEIGHBOUR]
        after = [] if chunk.endswith("\n") else [_NEIGHBOUR]
        tokens = self._split_line(" ".join([*before, bare, *after]))
        return " ".join(tokens[len(before) : len(tokens) - len(after)]) + ("" if after else "\n")


class _InsideALine(NamedTuple):
    bare: str  # the chunk without line ends
    end: str  # the text to append to its tokens


def _as_inside_a_line(chunk: str) -> _InsideALine | None:
    """Reduce a chunk at the start or end of a line to a chunk inside a line; return None if this is not possible."""
    bare, at_end = chunk.removeprefix("\n"), chunk.endswith("\n")
    if chunk.startswith("\n") and _SPECIAL_START.match(bare):
        return None
    if not at_end:
        return _InsideALine(bare, "")
    bare = bare[:-1]
    if match := _FINAL_STOP.fullmatch(bare):
        return _InsideALine(match[1], f" .{_CLOSER_TOKENS[match[2]]}\n")
    return None if not bare or _SPECIAL_END.search(bare) else _InsideALine(bare, "\n")
