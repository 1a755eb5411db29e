"""The Cornell Movie-Dialogs Corpus as published: conversations to pairs, split by film.

`movie_lines.txt` has one utterance a line (line, character and film id, character name, text), and
`movie_conversations.txt` one conversation a line (two character ids, film id, list of line ids), with
` +++$+++ ` between the fields. https://www.cs.cornell.edu/~cristian/Cornell_Movie-Dialogs_Corpus.html
"""
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from src.common.errors import MassError
from src.common.files import require_file
from src.dataset.cornell.windows_characters import repair_windows_characters

LINES_FILE, CONVERSATIONS_FILE = "movie_lines.txt", "movie_conversations.txt"
_SEPARATOR = "+++$+++"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Pair(NamedTuple):
    """An utterance and the response to it, in the film with this id."""

    film: str
    utterance: str
    response: str


@dataclass
class CorpusCounts:
    """What was read of the corpus."""

    utterances: int = 0
    conversations: int = 0
    between_films: int = 0  # pairs left out because one side is of another film than the conversation
    lines: int = 0  # of both files
    latin1_lines: int = 0  # of which not UTF-8, and so read as ISO-8859-1
    repaired: int = 0  # characters of Windows-1252 that had been read as control characters
    lost: int = 0  # U+FFFD: characters that somebody's tool had lost before


def is_published_corpus(folder: str) -> bool:
    """Whether the folder holds the two files of the published corpus."""
    return all(os.path.isfile(os.path.join(folder, name)) for name in (LINES_FILE, CONVERSATIONS_FILE))


def read_pairs(folder: str, counts: CorpusCounts) -> Iterator[Pair]:
    """Yield each pair of consecutive utterances of each conversation, in the order of the corpus.

    White space inside an utterance becomes single spaces; an utterance may be empty. `counts` is added to.

    Raises:
        MassError: a file is missing, a line has too few fields or no list, or a line id is unknown; the message names
            file and line.
    """
    utterances = {line_id: (film, " ".join(text.split())) for _, (line_id, _, film, _, text)
                  in _read_fields(os.path.join(folder, LINES_FILE), 5, counts)}
    counts.utterances += len(utterances)
    path = os.path.join(folder, CONVERSATIONS_FILE)
    for number, (_, _, film, line_ids) in _read_fields(path, 4, counts):
        ids = re.findall(r"'([^']*)'", line_ids)
        if not ids:
            raise MassError(f"{path}, line {number}: {line_ids[:80]!r} is not a list of line ids such as ['L1', 'L2']")
        for line_id in ids:
            if line_id not in utterances:
                raise MassError(f"{path}, line {number}: no utterance {line_id!r} in {LINES_FILE}; is it complete?")
        counts.conversations += 1
        for (first_film, first), (second_film, second) in pairwise(utterances[line_id] for line_id in ids):
            if first_film == second_film == film:
                yield Pair(film, first, second)
            else:
                counts.between_films += 1


def _read_fields(path: str, count: int, counts: CorpusCounts) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield the number and the `count` fields, the last one perhaps empty, of each line that is not blank."""
    with open(require_file(path, "corpus file"), "rb") as stream:
        for number, raw in enumerate(stream, start=1):
            line = _decode(raw.removeprefix(_BYTE_ORDER_MARK) if number == 1 else raw, counts)
            if not line.strip():
                continue
            fields = [text.strip() for text in line.split(_SEPARATOR, count - 1)]
            if len(fields) < count:
                raise MassError(f"{path}, line {number}: {len(fields)} fields instead of {count} (separated by "
                                f"' {_SEPARATOR} '): {line[:80]!r}")
            yield number, fields


def _decode(raw: bytes, counts: CorpusCounts) -> str:
    """A line of the corpus, which was published in ISO-8859-1 and is found in UTF-8; files that mix them exist."""
    counts.lines += 1
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("iso-8859-1")
        counts.latin1_lines += 1
    text, repaired = repair_windows_characters(text)
    counts.repaired += repaired
    counts.lost += text.count("\ufffd")
    return text
