"""Tokenization, compared with nltk itself, and the conversion of files, which BPE uses too."""
import html
import os
import re
import time
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.tokenize import word_tokenize

from src.common import text_files
from src.common.arguments import RunOptions
from src.common.errors import MassError, UsageError
from src.common.parallel import map_in_order
from src.text.conversion import Conversion, ConvertedText, convert_files, plan_outputs
from src.text.nltk_tokenizer import ChunkTokenizer
from src.text.recent_words import RecentWords
from src.text.tokenization import find_corpus, tokenize_corpus, tokenize_text
from tests.helpers.text_folder import list_names

nltk_tokens = partial(word_tokenize, preserve_line=True)


def tokenized(line: str, tokenizer: str = "nltk") -> str:
    return tokenize_text(tokenizer, line + "\n").text.removesuffix("\n")


def test_words_and_punctuation():
    assert tokenized("Don't panic, U.S. men (all 3,000 of you).") == "Do n't panic , U.S. men ( all 3,000 of you ) ."
    assert tokenized("他来到北京，说：Hello world!", "jieba") == "他 来到 北京 ， 说 ： Hello world !"


@pytest.mark.parametrize("tokenizer", ["nltk", "jieba"])
def test_special_tokens_and_spellings_of_the_unknown_token_remain_whole(tokenizer):
    line = "the <unk>, a<mask>b UNK <UNK>. <s> </s> <pad> <unk>"
    assert tokenized(line, tokenizer) == "the <unk> , a <mask> b UNK <UNK> . <s> </s> <pad> <unk>"


@pytest.mark.parametrize(("line", "tokens"), [
    ("我爱café和Müller。", "我 爱 café 和 Müller 。"), ("Привет, мир!", "Привет , мир !"),
    ("한국어를 공부합니다 2026년", "한국어를 공부합니다 2026 년"),
    ("e\u0301te\u0301 か\u3099", "e\u0301te\u0301 か\u3099"),
    ("नमस्ते, العربية می\u200cروم", "नमस्ते , العربية می\u200cروم"), ("T恤 C++ naïve", "T恤 C++ naïve")])
def test_jieba_leaves_words_of_other_alphabets_whole(line, tokens):
    assert tokenized(line, "jieba") == tokens


@given(st.text("ab1 中文语言café\u0301Привет한かな,。", max_size=30))
def test_jieba_keeps_all_characters_and_no_mark_stands_alone(line):
    tokens = tokenized(line, "jieba").split()
    assert "".join(tokens) == line.replace(" ", "")
    for token in tokens:
        assert not token.startswith("\u0301") or line.startswith("\u0301") or " \u0301" in line
    words = re.compile("[Привет한]+")
    assert [word for token in tokens for word in words.findall(token)] == words.findall(line)


@given(st.text(st.characters(max_codepoint=127) | st.sampled_from("中文语言，。"), max_size=30))
def test_chinese_and_ascii_are_tokenized_as_before(line):
    for tokenizer in ("jieba", "nltk"):
        assert tokenize_text(tokenizer, line.replace("\n", "") + "\n", 1) == tokenize_text(
            tokenizer, line.replace("\n", "") + "\n", 2)


@pytest.mark.parametrize("tokenizer", ["nltk", "jieba"])
def test_characters_without_width_that_stand_alone_are_no_tokens(tokenizer):
    assert tokenized("\u200b", tokenizer) == tokenized("\u200b \u200d\u200e\u2060", tokenizer) == ""
    assert tokenized("\u00ad one \u200b\u200b two \u200f", tokenizer) == "one two"
    assert tokenize_text(tokenizer, "one \u200b\n", 1).text == "one \u200b\n"  # as models of earlier versions know it


def test_entities_are_text():
    """HTML is not decoded: `&lt;` in a text about HTML is no `<`. The manual says how to decode it beforehand."""
    assert tokenized("Q&amp;A") == "Q & amp ; A"
    assert tokenized(html.unescape("Q&amp;A &lt;b&gt;")) == "Q & A < b >"


def test_control_characters_and_separators_become_spaces():
    assert tokenized("one\u2028two\x85three\x0cfour\tfive\x00six\ufeffseven\ufdd0eight\rnine\u3000ten") == (
        "one two three four five six seven eight nine ten"
    )
    assert tokenized(" \t\u2029 ") == tokenized("") == ""


DIRTY = st.text("ab .,'\"<unk></s>\x00\x0b\x1c\x85\u2028\u00a0\u3000\ufeff\ufdd0中文\U0001f600`-$&", max_size=40)


@pytest.mark.parametrize("tokenizer", ["nltk", "jieba"])
@given(lines=st.lists(DIRTY, max_size=5))
def test_each_line_becomes_one_line(tokenizer, lines):
    converted = tokenize_text(tokenizer, "".join(line + "\n" for line in lines))
    tokenized_lines = converted.text.split("\n")
    assert tokenized_lines.pop() == "" and tokenized_lines == [tokenized(line, tokenizer) for line in lines]
    for line in tokenized_lines:
        assert line.splitlines() == ([line] if line else [])
        assert line == " ".join(line.split())
    assert converted.tokens == len(converted.text.split())


# The chunk tokenizer. The pieces are those that nltk's rules name, and others that prevent the rules from matching.

WORDS = ["'s", "'ll", "n't", "'tis", "more'n", "d'ye", "cannot", "Gonna", "wanna", "U.S.", "said.", "''", "``", "--"]
PIECES = [*"asd .,:;'\"`()[]<>{}?!*$1-_é—ıİſ»”’“‘«…\ufdd0", " ", " ", *WORDS]
LINES = st.lists(st.lists(st.sampled_from(PIECES), max_size=15).map(lambda pieces: " ".join("".join(pieces).split())))


@given(LINES)
def test_the_tokens_are_those_of_nltk(lines):
    text, count = ChunkTokenizer(nltk_tokens).tokenize("".join(line + "\n" for line in lines))
    expected = [nltk_tokens(line) for line in lines]
    assert text == "".join(" ".join(tokens) + "\n" for tokens in expected)
    assert count == sum(map(len, expected))


def test_the_cache_is_bounded_and_does_not_change_the_tokens():
    tokenizer = ChunkTokenizer(nltk_tokens, max_chunks=20)
    for number in range(30):
        line = f"It's no. {number} of (some) lines, \"said {number} men.\""
        assert tokenizer.tokenize(line + "\n")[0] == " ".join(nltk_tokens(line)) + "\n"
        assert len(tokenizer) <= 20 + len(line.split())


def test_words_in_use_stay_in_the_cache():
    words = RecentWords(4)
    for number in range(100):
        assert number == 0 or words["often"] == "kept"
        words.update({"often": "kept", str(number): ""})
        words.drop_old_words(["often", str(number)], [str(number)])
        assert len(words) <= 4 and str(number) in words
    assert "3" not in words


def test_long_words_do_not_stay_in_the_cache():
    """Their memory would not be bounded by the number of words."""
    tokenizer = ChunkTokenizer(nltk_tokens)
    for letter in "abc":
        line = f"({letter * 1000}) {letter * 1000}. is {letter}"
        assert tokenizer.tokenize(f"{line}\n")[0] == " ".join(nltk_tokens(line)) + "\n"
    assert tokenizer["is"] == "is" and max(map(len, tokenizer)) < 10


@pytest.mark.parametrize("mark", [") ", "' ", '" ', '"'])
def test_a_long_run_of_closing_marks_takes_time_in_proportion_to_its_length(mark):
    """A run that does not reach the end of its line was searched from each of its places."""
    def seconds(count):
        tokenizer = ChunkTokenizer(lambda line: line.split(" "))
        started = time.perf_counter()
        tokenizer.tokenize("a " + (mark * count).rstrip() + " x\n")
        return time.perf_counter() - started

    assert seconds(40_000) < 2.0, "it took 9 seconds, and four times as long for twice the length"


def test_each_distinct_chunk_is_passed_to_nltk_once():
    asked = []
    tokenizer = ChunkTokenizer(lambda line: asked.append(line) or nltk_tokens(line))
    tokenizer.tokenize("Well-known men don't; (they) didn't.\n" * 3)
    assert len(asked) == 1 and asked[0].count("don't;") == asked[0].count("(they)") == 1
    tokenizer.tokenize("They didn't; men don't.\n")
    assert len(asked) == 2 and "(they)" not in asked[1] and "don't;" not in asked[1]


# Processes


def slow_when_small(number: int) -> int:
    time.sleep(0.02 / (1 + number))
    return number * number


def fail_at_three(number: int) -> int:
    if number == 3:
        raise MassError("three is invalid")
    return number


def die_at_three(parent: int, number: int) -> int:
    if number == 3 and os.getpid() != parent:
        os._exit(9)
    return number


@pytest.mark.parametrize("processes", [1, 3])
def test_results_are_in_order_and_errors_are_raised(processes):
    assert list(map_in_order(slow_when_small, range(20), processes)) == [n * n for n in range(20)]
    with pytest.raises(MassError, match="three is invalid"):
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


def tokenize_folder(folder, output, processes=1):
    sources = find_corpus([str(folder)], str(output))
    return list(tokenize_corpus(sources, str(output), "nltk", RunOptions(processes)))


@pytest.mark.parametrize("processes", [2, 3])
def test_the_number_of_processes_does_not_change_the_output(tmp_path, monkeypatch, processes):
    monkeypatch.setattr(text_files, "PART_BYTES", 100)
    folder = tmp_path / "raw"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.txt").write_text("".join(f"Line {i}, of file {number}.\n" for i in range(50 * number)))
    for number in range(30):
        (folder / f"small{number:02}.txt").write_text(f"Small {number}.")
    for name, count in (("one", 1), ("many", processes)):
        summaries = tokenize_folder(folder, tmp_path / name, count)
        assert [s.lines for s in summaries] == [0, 50, 100] + [1] * 30
        assert [s.tokens for s in summaries] == [0, 350, 700] + [3] * 30
    assert len(list_names(tmp_path / "one")) == 33
    for file in list_names(tmp_path / "one"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "many" / file).read_bytes()


def test_an_undecodable_line_is_named_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "PART_BYTES", 100)
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "bad.txt").write_bytes(b"fine\n" * 200 + b"caf\xe9\n" + b"fine\n" * 200)
    with pytest.raises(MassError, match=r"bad\.txt, line 201: not UTF-8 \(byte 0xe9 at column 4\)"):
        tokenize_folder(tmp_path / "raw", tmp_path / "out", 2)
    assert list_names(tmp_path / "out") == []


def loses_a_line(text: str) -> ConvertedText:
    return ConvertedText(text.partition("\n")[2], 1)


def test_a_conversion_that_loses_a_line_is_an_error(tmp_path):
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    conversion = Conversion("test", loses_a_line, {}, "_x.txt")
    with pytest.raises(RuntimeError, match="2 line ends became 1"):
        list(convert_files([str(tmp_path / "a.txt")], str(tmp_path / "out"), conversion, RunOptions()))
    assert list_names(tmp_path / "out") == []


def test_two_sources_with_one_output_are_rejected_before_anything_is_written(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.txt").write_text("text\n")
    sources = [str(tmp_path / folder / "same.txt") for folder in ("a", "b")]
    with pytest.raises(UsageError, match="same.txt.*same.txt.*same_tokenized.txt"):
        plan_outputs(sources, str(tmp_path / "out"), "_tokenized.txt")
    assert not (tmp_path / "out").exists()
