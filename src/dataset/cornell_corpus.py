"""The Cornell Movie-Dialogs Corpus as published: conversations to pairs, split by film.

`movie_lines.txt` has one utterance a line (line, character and film id, character name, text), and
`movie_conversations.txt` one conversation a line (two character ids, film id, list of line ids), with
` +++$+++ ` between the fields. https://www.cs.cornell.edu/~cristian/Cornell_Movie-Dialogs_Corpus.html
"""
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import pairwise
from typing import NamedTuple

from src.utils.errors import MassError
from src.utils.files import atomic_outputs, require_file

LINES_FILE, CONVERSATIONS_FILE = "movie_lines.txt", "movie_conversations.txt"
SPLIT_SHARES = {"train": 0.8, "valid": 0.1, "test": 0.1}
_SEPARATOR = "+++$+++"


class Pair(NamedTuple):
    """An utterance and the response to it, in the film with this id."""

    film: str
    utterance: str
    response: str


def is_published_corpus(folder: str) -> bool:
    """Whether the folder holds the two files of the published corpus."""
    return all(os.path.isfile(os.path.join(folder, name)) for name in (LINES_FILE, CONVERSATIONS_FILE))


def read_pairs(folder: str) -> Iterator[Pair]:
    """Yield each pair of consecutive utterances of each conversation, in the order of the corpus.

    White space inside an utterance becomes single spaces; an utterance may be empty.

    Raises:
        MassError: a file is missing, a line has too few fields or no list, or a line id is unknown; the message names
            file and line.
    """
    utterances = _read_utterances(os.path.join(folder, LINES_FILE))
    path = os.path.join(folder, CONVERSATIONS_FILE)
    for number, (_, _, film, line_ids) in _read_fields(path, 4):
        ids = re.findall(r"'([^']*)'", line_ids)
        if not ids:
            raise MassError(f"{path}, line {number}: {line_ids[:80]!r} is not a list of line ids such as ['L1', 'L2']")
        for line_id in ids:
            if line_id not in utterances:
                raise MassError(f"{path}, line {number}: no utterance {line_id!r} in {LINES_FILE}; is it complete?")
        for first, second in pairwise(ids):
            yield Pair(film, utterances[first], utterances[second])


def split_of_film(film: str, shares: Mapping[str, float] = SPLIT_SHARES) -> str:
    """The split all pairs of a film belong to: the same on every machine, whatever other films there are.

    `shares` maps splits to their expected shares of the films, which add up to 1.
    """
    point = int.from_bytes(hashlib.sha256(film.encode()).digest()[:8], "big") / 2**64
    for split, share in shares.items():
        point -= share
        if point < 0:
            return split
    return split  # the shares' sum may round to just under 1


def write_split_text(folder: str, output_folder: str, prefixes: Mapping[str, str]) -> Counter[str]:
    """Write the pairs of the corpus in `folder` as text, `<prefix>.src.txt` and `<prefix>.tgt.txt` for each split.

    Pairs with an empty side are left out.

    Args:
        prefixes: split ("train", "valid", "test") -> prefix of its files.

    Returns:
        The number of pairs by split, and of those left out as "empty".
    """
    counts: Counter[str] = Counter()
    with atomic_outputs(output_folder) as scratch, ExitStack() as stack:
        files = {
            (split, side): stack.enter_context(
                open(os.path.join(scratch, f"{prefix}.{side}.txt"), "w", encoding="utf-8", newline="\n")
            )
            for split, prefix in prefixes.items()
            for side in ("src", "tgt")
        }
        for film, utterance, response in read_pairs(folder):
            if not (utterance and response):
                counts["empty"] += 1
                continue
            split = split_of_film(film)
            counts[split] += 1
            files[split, "src"].write(utterance + "\n")
            files[split, "tgt"].write(response + "\n")
        if not any(counts[split] for split in prefixes):
            raise MassError(f"{os.path.join(folder, CONVERSATIONS_FILE)}: no conversation of two or more utterances")
    return counts


def _read_utterances(path: str) -> dict[str, str]:
    """line id -> text"""
    return {line_id: " ".join(text.split()) for _, (line_id, _, _, _, text) in _read_fields(path, 5)}


def _read_fields(path: str, count: int) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield the number and the `count` fields, the last one perhaps empty, of each line that is not blank."""
    with open(require_file(path, "corpus file"), "rb") as stream:
        data = stream.read()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("iso-8859-1")  # as the corpus is published
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        fields = [field.strip() for field in line.split(_SEPARATOR, count - 1)]
        if len(fields) < count:
            raise MassError(f"{path}, line {number}: {len(fields)} fields instead of {count} (separated by "
                            f"' {_SEPARATOR} '): {line[:80]!r}")
        yield number, fields
