"""Reads the published files of the Cornell Movie-Dialogs Corpus and yields pairs of utterance and response.

Each line of `movie_lines.txt` is an utterance (line id, character id, film id, character name, text), and each line of
`movie_conversations.txt` is a conversation (two character ids, film id, list of line ids). The fields are separated by
` +++$+++ `. https://www.cs.cornell.edu/~cristian/Cornell_Movie-Dialogs_Corpus.html
"""
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from src.common.errors import MassError
from src.common.files import require_file
from src.common.text_files import BYTE_ORDER_MARK
from src.dataset.cornell.windows_characters import repair_windows_characters

LINES_FILE, CONVERSATIONS_FILE = "movie_lines.txt", "movie_conversations.txt"
_SEPARATOR = "+++$+++"


class Pair(NamedTuple):
    """An utterance and the response to it; `film` is the id of their film."""

    film: str
    utterance: str
    response: str


@dataclass
class CorpusCounts:
    """The numbers of what was read, left out and repaired."""

    utterances: int = 0
    conversations: int = 0
    between_films: int = 0  # pairs left out because a side belongs to another film than the conversation
    lines: int = 0  # lines of both files
    latin1_lines: int = 0  # lines that are not UTF-8 and were read as ISO-8859-1
    repaired: int = 0  # control characters that were replaced by the Windows-1252 characters that were meant
    lost: int = 0  # characters U+FFFD, which another tool had put in place of undecodable bytes


def is_published_corpus(folder: str) -> bool:
    """Return whether the folder holds the two files of the published corpus."""
    return all(os.path.isfile(os.path.join(folder, name)) for name in (LINES_FILE, CONVERSATIONS_FILE))


def read_pairs(folder: str, counts: CorpusCounts) -> Iterator[Pair]:
    """Yield each pair of consecutive utterances of each conversation, in the order of the corpus.

    White space in an utterance is reduced to single spaces; an utterance may be empty.

    Args:
        folder: the folder of the published files.
        counts: what is read is added to these numbers.

    Raises:
        MassError: a file is missing, a line has too few fields or no list of ids, or a line id is unknown; the message
            names file and line.
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
    """Yield the line number and the `count` fields of each line that is not blank; the last field may be empty."""
    with open(require_file(path, "corpus file"), "rb") as stream:
        for number, raw in enumerate(stream, start=1):
            line = _decode(raw.removeprefix(BYTE_ORDER_MARK) if number == 1 else raw, counts)
            if not line.strip():
                continue
            fields = [text.strip() for text in line.split(_SEPARATOR, count - 1)]
            if len(fields) < count:
                raise MassError(f"{path}, line {number}: {len(fields)} fields instead of {count} (separated by "
                                f"' {_SEPARATOR} '): {line[:80]!r}")
            yield number, fields


def _decode(raw: bytes, counts: CorpusCounts) -> str:
    """Decode a line. The corpus was published in ISO-8859-1, but copies in UTF-8 and mixtures of both exist."""
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
