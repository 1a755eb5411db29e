"""Tokenizing lines and files, and the processes it shares with the encoding of files."""
import os
import time
from collections import Counter
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.text import parallel
from src.text.parallel import ConvertedLines, convert_files, file_parts, map_in_order, plan_outputs
from src.text.tokenization import plan_corpus, tokenize_corpus, tokenize_lines
from src.utils.errors import MassError, UsageError
from src.utils.text_files import read_lines


def tokenized(line: str, tokenizer: str = "nltk") -> str:
    return tokenize_lines(tokenizer, [line]).lines[0]


def test_words_and_punctuation():
    assert tokenized("Don't panic, U.S. men (all 3,000 of you).") == "Do n't panic , U.S. men ( all 3,000 of you ) ."
    assert tokenized("他来到北京，说：Hello world!", "jieba") == "他 来到 北京 ， 说 ： Hello world !"


@pytest.mark.parametrize("tokenizer", ["nltk", "jieba"])
def test_special_symbols_and_unknown_words_survive_whole(tokenizer):
    line = "the <unk>, a<mask>b UNK <UNK>. <s> </s> <pad> <unk>"
    assert tokenized(line, tokenizer) == "the <unk> , a <mask> b UNK <UNK> . <s> </s> <pad> <unk>"


def test_control_characters_and_separators_become_spaces():
    assert tokenized("one\u2028two\x85three\x0cfour\tfive\x00six\ufeffseven\ufdd0eight\rnine\u3000ten") == (
        "one two three four five six seven eight nine ten"
    )
    assert tokenized(" \t\u2029 ") == tokenized("") == ""


DIRTY = st.text("ab .,'\"<unk></s>\x00\x0b\x1c\x85\u2028\u00a0\u3000\ufeff\ufdd0中文\U0001f600`-$&", max_size=40)


@pytest.mark.parametrize("tokenizer", ["nltk", "jieba"])
@given(lines=st.lists(DIRTY, max_size=5))
def test_one_line_in_is_one_line_out(tokenizer, lines):
    converted = tokenize_lines(tokenizer, lines)
    assert len(converted.lines) == len(lines)
    for line in converted.lines:
        assert line.splitlines() == ([line] if line else [])
        assert line == " ".join(line.split())
    assert converted.tokens == sum(len(line.split()) for line in converted.lines)


@given(st.binary(max_size=60).map(lambda raw: raw.replace(b"\xff", b"\n")), st.integers(1, 20))
def test_parts_of_a_file_hold_the_lines_of_the_file(tmp_path_factory, raw, size):
    raw = raw.decode("utf-8", errors="replace").encode("utf-8")
    path = str(tmp_path_factory.mktemp("parts") / "f.txt")
    with open(path, "wb") as stream:
        stream.write(raw)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parallel, "PART_BYTES", size)
        parts = list(file_parts(path))
    assert [line for part in parts for line in part.read_lines()] == list(read_lines(path))


@pytest.mark.parametrize("raw", [b"", b"\xef\xbb\xbf", b"\xef\xbb\xbfa\r\n\nb", b"a\n\n", b"\n", b"\r\n\r"])
def test_a_part_reads_like_read_lines(tmp_path, raw):
    path = tmp_path / "f.txt"
    path.write_bytes(raw)
    (part,) = file_parts(str(path))
    assert part.read_lines() == list(read_lines(str(path)))


def slow_when_small(number: int) -> int:
    time.sleep(0.02 / (1 + number))
    return number * number


def fail_at_three(number: int) -> int:
    if number == 3:
        raise MassError("three is bad")
    return number


def die_at_three(parent: int, number: int) -> int:
    if number == 3 and os.getpid() != parent:
        os._exit(9)
    return number


@pytest.mark.parametrize("processes", [1, 3])
def test_results_come_in_order_and_errors_are_carried(processes):
    assert list(map_in_order(slow_when_small, range(20), processes)) == [n * n for n in range(20)]
    with pytest.raises(MassError, match="three is bad"):
        list(map_in_order(fail_at_three, range(20), processes))


def test_a_worker_that_dies_stops_the_run():
    with pytest.raises(MassError, match="worker process died"):
        list(map_in_order(partial(die_at_three, os.getpid()), range(20), 2))


def test_items_are_not_read_far_ahead():
    taken = []
    results = map_in_order(abs, (taken.append(n) or n for n in range(1000)), 2)
    next(results)
    results.close()
    assert len(taken) <= 6


@pytest.mark.parametrize("processes", [2, 3])
def test_the_number_of_processes_does_not_change_the_output(tmp_path, monkeypatch, processes):
    monkeypatch.setattr(parallel, "PART_BYTES", 100)
    folder = tmp_path / "raw"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.txt").write_text("".join(f"Line {i}, of file {number}.\n" for i in range(50 * number)))
    for name, count in (("one", 1), ("many", processes)):
        summaries = list(tokenize_corpus(plan_corpus([str(folder)], str(tmp_path / name)), "nltk", count))
        assert [s.lines for s in summaries] == [0, 50, 100]
        assert [s.tokens for s in summaries] == [0, 350, 700]
    for file in sorted(os.listdir(tmp_path / "one")):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "many" / file).read_bytes()


def test_an_undecodable_line_is_named_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "PART_BYTES", 100)
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "bad.txt").write_bytes(b"fine\n" * 200 + b"caf\xe9\n" + b"fine\n" * 200)
    plan = plan_corpus([str(tmp_path / "raw")], str(tmp_path / "out"))
    with pytest.raises(MassError, match=r"bad\.txt, line 201: not UTF-8"):
        list(tokenize_corpus(plan, "nltk", 2))
    assert os.listdir(tmp_path / "out") == []


def loses_a_line(lines: list[str]) -> ConvertedLines:
    return ConvertedLines(lines[1:], 1, Counter())


def test_a_conversion_that_loses_a_line_is_stopped(tmp_path):
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    plan = plan_outputs([str(tmp_path / "a.txt")], str(tmp_path / "out"), "_x.txt")
    with pytest.raises(RuntimeError, match="2 lines became 1"):
        list(convert_files(plan, loses_a_line, 1, "test"))


def test_two_sources_with_one_output_are_refused_before_anything_is_written(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.txt").write_text("text\n")
    with pytest.raises(UsageError, match="same.txt.*same.txt.*same_tokenized.txt"):
        plan_corpus([str(tmp_path / "a"), str(tmp_path / "b")], str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
