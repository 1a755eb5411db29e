"""The Cornell corpus as published: pairs, encodings, split by film, and every kind of bad file."""
import os

import pytest

from src.dataset.cornell_corpus import (
    SPLIT_SHARES,
    Pair,
    is_published_corpus,
    read_pairs,
    split_of_film,
    write_split_text,
)
from src.utils.errors import MassError

SEPARATOR = " +++$+++ "
PREFIXES = {"train": "train", "valid": "valid", "test": "test"}


def write_corpus(folder, films, encoding="utf-8", newline="\n"):
    """films: film id -> conversations, each a list of utterances."""
    lines, conversations = [], []
    for film, film_conversations in films.items():
        for utterances in film_conversations:
            ids = [f"L{len(lines) + number}" for number in range(len(utterances))]
            lines.extend(SEPARATOR.join((line_id, "u1", film, "BIANCA", text))
                         for line_id, text in zip(ids, utterances, strict=True))
            conversations.append(SEPARATOR.join(("u1", "u2", film, str(ids))))
    folder.mkdir(exist_ok=True)
    for name, content in (("movie_lines.txt", reversed(lines)), ("movie_conversations.txt", conversations)):
        (folder / name).write_bytes("".join(line + newline for line in content).encode(encoding))
    return str(folder)


def read(path):
    with open(path, encoding="utf-8", newline="\n") as stream:
        return stream.read().splitlines()


def test_consecutive_utterances_are_pairs(tmp_path):
    folder = write_corpus(tmp_path / "c", {"m0": [["Hi.", "Who?", "Me."], ["One", "Two"]], "m1": [["Alone"]]})
    assert is_published_corpus(folder)
    assert list(read_pairs(folder)) == [Pair("m0", "Hi.", "Who?"), Pair("m0", "Who?", "Me."), Pair("m0", "One", "Two")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "iso-8859-1"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_encodings(tmp_path, encoding, newline):
    folder = write_corpus(tmp_path / "c", {"m0": [["Café?", "Où ça?"]]}, encoding, newline)
    assert list(read_pairs(folder)) == [Pair("m0", "Café?", "Où ça?")]


def test_an_utterance_is_one_line_of_single_spaces(tmp_path):
    folder = write_corpus(tmp_path / "c", {"m0": [["a\tb  c\u2028d\x85e", "x +++$+++ y"]]})
    assert list(read_pairs(folder)) == [Pair("m0", "a b c d e", "x +++$+++ y")]


def test_split_is_by_film_and_reproducible(tmp_path):
    films = {f"m{number}": [[f"{number}a", f"{number}b"]] for number in range(40)}
    counts = write_split_text(write_corpus(tmp_path / "c", films), str(tmp_path / "out"), PREFIXES)
    found = {split: read(tmp_path / "out" / f"{split}.src.txt") for split in PREFIXES}
    for split, lines in found.items():
        assert counts[split] == len(lines) > 0
        assert read(tmp_path / "out" / f"{split}.tgt.txt") == [line[:-1] + "b" for line in lines]
        assert all(split_of_film(f"m{line[:-1]}") == split for line in lines)
    assert sum(map(len, found.values())) == 40
    write_split_text(write_corpus(tmp_path / "c", dict(reversed(films.items()))), str(tmp_path / "again"), PREFIXES)
    for split, lines in found.items():
        assert sorted(read(tmp_path / "again" / f"{split}.src.txt")) == sorted(lines)


def test_shares_of_the_split():
    splits = [split_of_film(f"m{number}") for number in range(5000)]
    for split, share in SPLIT_SHARES.items():
        assert splits.count(split) / 5000 == pytest.approx(share, abs=0.02)
    assert split_of_film("m0", {"train": 0.0, "test": 1.0}) == "test"


def test_pairs_with_an_empty_side_are_left_out(tmp_path):
    folder = write_corpus(tmp_path / "c", {"m0": [["Hi.", "", "Me.", "You."]], "m1": [["  ", "x"]]})
    counts = write_split_text(folder, str(tmp_path / "out"), PREFIXES)
    assert counts["empty"] == 3 and sum(counts[split] for split in PREFIXES) == 1


def test_a_bare_empty_text_without_its_last_space(tmp_path):
    folder = write_corpus(tmp_path / "c", {"m0": [["a", "b"]]})
    with open(os.path.join(folder, "movie_lines.txt"), "a") as stream:
        stream.write("L9 +++$+++ u1 +++$+++ m0 +++$+++ X +++$+++\n\n")
    assert len(list(read_pairs(folder))) == 1


@pytest.mark.parametrize("name, line, complaint", [
    ("movie_lines.txt", "L7 +++$+++ u1", "movie_lines.txt, line 3: 2 fields instead of 5"),
    ("movie_conversations.txt", "u1 +++$+++ u2 +++$+++ m0", "movie_conversations.txt, line 2: 3 fields instead of 4"),
    ("movie_conversations.txt", "u1 +++$+++ u2 +++$+++ m0 +++$+++ L0 L1", "line 2: 'L0 L1' is not a list"),
    ("movie_conversations.txt", "u1 +++$+++ u2 +++$+++ m0 +++$+++ ['L0', 'L99']", "no utterance 'L99'"),
])  # fmt: skip
def test_bad_lines(tmp_path, name, line, complaint):
    folder = write_corpus(tmp_path / "c", {"m0": [["a", "b"]]})
    with open(os.path.join(folder, name), "a") as stream:
        stream.write(line + "\n")
    with pytest.raises(MassError, match=complaint):
        write_split_text(folder, str(tmp_path / "out"), PREFIXES)
    assert os.listdir(tmp_path / "out") == []


def test_nothing_to_pair(tmp_path):
    folder = write_corpus(tmp_path / "c", {"m0": [["Alone"]]})
    with pytest.raises(MassError, match="no conversation of two or more"):
        write_split_text(folder, str(tmp_path / "out"), PREFIXES)


def test_other_folder(tmp_path):
    assert not is_published_corpus(str(tmp_path))
