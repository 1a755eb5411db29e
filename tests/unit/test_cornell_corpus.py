"""The published Cornell corpus: pairs, encodings, the split by film, and every kind of bad file."""
import json
import os
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.common.errors import MassError, UsageError
from src.dataset.cornell.corpus import CorpusCounts, Pair, is_published_corpus, read_pairs
from src.dataset.cornell.split import SPLIT_SHARES, SplitPlan, parse_shares, split_corpus, split_of_films
from src.dataset.cornell.windows_characters import repair_windows_characters

SEPARATOR = " +++$+++ "
PREFIXES = {"train": "train", "valid": "valid", "test": "test"}


def write_corpus(folder, films, encoding="utf-8", newline="\n"):
    """Write the published files; `films`: film id -> conversations, each of which is a list of utterances."""
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


def pairs_of(folder):
    return list(read_pairs(folder, CorpusCounts()))


def split(folder, output_folder, shares=None, seed=0, overwrite=False):
    return split_corpus(folder, str(output_folder), SplitPlan(PREFIXES, shares or SPLIT_SHARES, seed), overwrite)


def test_consecutive_utterances_are_pairs(tmp_path):
    folder = write_corpus(tmp_path / "c", {"m0": [["Hi.", "Who?", "Me."], ["One", "Two"]], "m1": [["Alone"]]})
    assert is_published_corpus(folder)
    assert pairs_of(folder) == [Pair("m0", "Hi.", "Who?"), Pair("m0", "Who?", "Me."), Pair("m0", "One", "Two")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "iso-8859-1"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_encodings(tmp_path, encoding, newline):
    folder = write_corpus(tmp_path / "c", {"m0": [["Café?", "Où ça?"]]}, encoding, newline)
    assert pairs_of(folder) == [Pair("m0", "Café?", "Où ça?")]


def test_characters_of_windows_are_repaired_and_counted(tmp_path):
    """As in the published file (bytes 0x80-0x9f), and as in a copy that was converted to UTF-8."""
    utterances = ["It\x92s \x93fine\x94\x85", "caf\xe9 \x97 no"]
    expected = [Pair("m0", "It\u2019s \u201cfine\u201d\u2026", "café \u2014 no")]
    for encoding in ("iso-8859-1", "utf-8"):
        counts = CorpusCounts()
        folder = write_corpus(tmp_path / encoding, {"m0": [utterances]}, encoding)
        assert list(read_pairs(folder, counts)) == expected
        assert counts.repaired == 5 and counts.lines == 3
        assert counts.latin1_lines == (2 if encoding == "iso-8859-1" else 0)


@given(st.text(st.characters(max_codepoint=0xFF)))
def test_repair_agrees_with_the_codec(text):
    repaired, count = repair_windows_characters(text)
    assert len(repaired) == len(text) and count == sum(map(str.__ne__, repaired, text))
    for before, after in zip(text, repaired, strict=True):
        if "\x80" <= before <= "\x9f":
            meant = before.encode("iso-8859-1").decode("cp1252", errors="replace")
            assert after == (before if meant == "\ufffd" else meant)
        else:
            assert after == before


def test_a_file_that_mixes_encodings(tmp_path):
    folder = write_corpus(tmp_path / "c", {"m0": [["Café?", "Où ça?"]]})
    with open(os.path.join(folder, "movie_lines.txt"), "ab") as stream:
        stream.write("L2 +++$+++ u1 +++$+++ m0 +++$+++ X +++$+++ Éclair \ufffd\n".encode())
        stream.write("L3 +++$+++ u1 +++$+++ m0 +++$+++ X +++$+++ Déjà vu\n".encode("iso-8859-1"))
    with open(os.path.join(folder, "movie_conversations.txt"), "a") as stream:
        stream.write("u1 +++$+++ u2 +++$+++ m0 +++$+++ ['L2', 'L3']\n")
    counts = CorpusCounts()
    found = list(read_pairs(folder, counts))
    assert found == [Pair("m0", "Café?", "Où ça?"), Pair("m0", "Éclair \ufffd", "Déjà vu")]
    assert (counts.latin1_lines, counts.lost, counts.lines) == (1, 1, 6)


def test_an_utterance_is_one_line_of_single_spaces(tmp_path):
    folder = write_corpus(tmp_path / "c", {"m0": [["a\tb  c\u2028d\x0ce", "x +++$+++ y"]]})
    assert pairs_of(folder) == [Pair("m0", "a b c d e", "x +++$+++ y")]


DIRTY = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=8)


@settings(max_examples=50)
@given(st.lists(st.lists(DIRTY, min_size=2, max_size=4), min_size=1, max_size=6), st.sampled_from(["\n", "\r\n"]))
def test_unusual_characters_never_shift_the_pairing(tmp_path_factory, conversations, newline):
    """Line i of the source file and line i of the target file are one pair, whatever the utterances contain."""
    folder = write_corpus(tmp_path_factory.mktemp("c"), {"m0": conversations}, newline=newline)
    output = tmp_path_factory.mktemp("o")
    clean = [[" ".join(repair_windows_characters(text)[0].split()) for text in texts] for texts in conversations]
    expected = [pair for texts in clean for pair in pairwise(texts) if all(pair)]
    if not expected:
        with pytest.raises(MassError, match="no conversation"):
            split(folder, output, {"train": 1.0})
        return
    summary, _ = split(folder, output, {"train": 1.0})
    sides = [(output / f"train.{side}.txt").read_bytes().decode().split("\n") for side in ("src", "tgt")]
    assert list(zip(*sides, strict=True)) == [*expected, ("", "")]
    assert summary.pairs == {"train": len(expected)}


def test_split_is_by_film_and_reproducible(tmp_path):
    films = {f"m{number}": [[f"{number}a", f"{number}b"]] for number in range(40)}
    summary, _ = split(write_corpus(tmp_path / "c", films), tmp_path / "out")
    found = {name: read(tmp_path / "out" / f"{name}.src.txt") for name in PREFIXES}
    for name, lines in found.items():
        assert summary.pairs[name] == len(lines) > 0
        assert read(tmp_path / "out" / f"{name}.tgt.txt") == [line[:-1] + "b" for line in lines]
        assert summary.films[name] == [f"m{line[:-1]}" for line in lines]
    assert summary.pairs == {"train": 32, "valid": 4, "test": 4}
    assert json.loads((tmp_path / "out" / "split.json").read_text())["films"] == summary.films
    split(write_corpus(tmp_path / "c", dict(reversed(films.items()))), tmp_path / "again")
    for name, lines in found.items():
        assert sorted(read(tmp_path / "again" / f"{name}.src.txt")) == sorted(lines)


def test_shares_and_seed_change_the_split(tmp_path):
    films = {f"m{number}": [[f"{number}a", f"{number}b"]] for number in range(40)}
    folder = write_corpus(tmp_path / "c", films)
    first, other = (split(folder, tmp_path / str(seed), seed=seed)[0] for seed in (0, 1))
    assert first.films != other.films
    without_valid, _ = split(folder, tmp_path / "two", parse_shares("0.5,0,0.5"))
    assert set(without_valid.pairs) == {"train", "test"} and sum(without_valid.pairs.values()) == 40
    assert not (tmp_path / "two" / "valid.src.txt").exists()


def test_finished_text_is_left_alone(tmp_path):
    folder = write_corpus(tmp_path / "c", {"m0": [["a", "b"]], "m1": [["c", "", "d"]]})
    path = tmp_path / "out" / "train.src.txt"
    first, unchanged = split(folder, tmp_path / "out", {"train": 1.0})
    assert not unchanged and first.empty == 2
    stamp = path.stat().st_mtime_ns
    assert split(folder, tmp_path / "out", {"train": 1.0}) == (first, True)
    assert path.stat().st_mtime_ns == stamp
    for change in ({"overwrite": True}, {"seed": 3}):
        assert not split(folder, tmp_path / "out", {"train": 1.0}, **change)[1]
    path.unlink()
    assert not split(folder, tmp_path / "out", {"train": 1.0}, seed=3)[1]
    assert path.exists()


@pytest.mark.parametrize("text", ["", "0.8,0.1", "0.8,0.1,0.2", "1.1,-0.1,0", "a,b,c", "nan,0.5,0.5", "1,0,0,0"])
def test_bad_shares(text):
    with pytest.raises(UsageError, match="--split .*train, valid, test.*add up to 1"):
        parse_shares(text)


def test_splits_need_different_prefixes():
    with pytest.raises(UsageError, match="3 different prefixes.*--train_prefix 'a'"):
        SplitPlan({"train": "a", "valid": "b", "test": "a"}, SPLIT_SHARES)
    with pytest.raises(UsageError, match="3 different prefixes"):
        SplitPlan({"train": "a", "valid": "", "test": "c"}, SPLIT_SHARES)
    assert SplitPlan({"train": "a", "valid": "", "test": "c"}, parse_shares("0.5,0,0.5")).splits == ["train", "test"]


def test_a_split_without_films(tmp_path):
    folder = write_corpus(tmp_path / "c", {"m0": [["a", "b"]]})
    with pytest.raises(MassError, match="no film is left for valid and test: there are 1 films"):
        split(folder, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.txt"))


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.lists(st.integers(0, 5), min_size=3, max_size=3),
       st.integers(0, 9))
def test_splits_end_within_half_a_film_of_the_shares(sizes, weights, seed):
    pairs = {f"m{number}": size for number, size in enumerate(sizes)}
    weights = weights if any(weights) else [1, 0, 0]
    shares = {name: weight / sum(weights) for name, weight in zip(PREFIXES, weights, strict=True)}
    found = split_of_films(pairs, shares, seed)
    assert set(found) == set(pairs)
    assert found == split_of_films(dict(reversed(pairs.items())), shares, seed)
    wanted = got = 0.0
    for name, share in shares.items():
        of_split = sum(pairs[film] for film in pairs if found[film] == name)
        assert share > 0 or not of_split
        wanted, got = wanted + share * sum(sizes), got + of_split
        assert abs(wanted - got) <= max(sizes) / 2 + 1e-6


def test_pairs_with_an_empty_side_are_left_out(tmp_path):
    folder = write_corpus(tmp_path / "c", {"m0": [["Hi.", "", "Me.", "You."]], "m1": [["  ", "x"]]})
    summary, _ = split(folder, tmp_path / "out", {"train": 1.0})
    assert summary.empty == 3 and summary.pairs == {"train": 1}
    assert "3 pairs with an empty side" in str(summary)


def test_a_conversation_across_films_is_left_out(tmp_path):
    folder = write_corpus(tmp_path / "c", {"m0": [["a", "b"]], "m1": [["c", "d"]]})
    with open(os.path.join(folder, "movie_conversations.txt"), "a") as stream:
        stream.write("u1 +++$+++ u2 +++$+++ m0 +++$+++ ['L0', 'L1', 'L2', 'L3']\n")
    counts = CorpusCounts()
    assert list(read_pairs(folder, counts)) == [Pair("m0", "a", "b"), Pair("m1", "c", "d"), Pair("m0", "a", "b")]
    assert counts.between_films == 2


def test_a_bare_empty_text_without_its_last_space(tmp_path):
    folder = write_corpus(tmp_path / "c", {"m0": [["a", "b"]]})
    with open(os.path.join(folder, "movie_lines.txt"), "a") as stream:
        stream.write("L9 +++$+++ u1 +++$+++ m0 +++$+++ X +++$+++\n\n")
    assert len(pairs_of(folder)) == 1


@pytest.mark.parametrize("name, line, complaint", [
    ("movie_lines.txt", "L7 +++$+++ u1", "movie_lines.txt, line 3: 2 fields instead of 5"),
    ("movie_conversations.txt", "u1 +++$+++ u2 +++$+++ m0", "movie_conversations.txt, line 2: 3 fields instead of 4"),
    ("movie_conversations.txt", "u1 +++$+++ u2 +++$+++ m0 +++$+++ L0 L1", "line 2: 'L0 L1' is not a list"),
    ("movie_conversations.txt", "u1 +++$+++ u2 +++$+++ m0 +++$+++ ['L0', 'L99']", "no utterance 'L99'"),
])
def test_bad_lines(tmp_path, name, line, complaint):
    folder = write_corpus(tmp_path / "c", {"m0": [["a", "b"]]})
    with open(os.path.join(folder, name), "a") as stream:
        stream.write(line + "\n")
    with pytest.raises(MassError, match=complaint):
        split(folder, tmp_path / "out")
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_nothing_to_pair(tmp_path):
    folder = write_corpus(tmp_path / "c", {"m0": [["Alone"]]})
    with pytest.raises(MassError, match="no conversation of two or more"):
        split(folder, tmp_path / "out")


def test_other_folder(tmp_path):
    assert not is_published_corpus(str(tmp_path))
