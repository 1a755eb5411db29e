"""The processing of raw text into subwords and back, and its description beside the weights of a model."""
import argparse
import json
import os
import shutil
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.checkpoints.find import find_text_processing
from src.common.errors import MassError, UsageError
from src.common.json_files import CHECKSUM, checksum_of
from src.inference.text_flags import add_text_flags, find_text, text_flags
from src.text.detokenization import detokenize
from src.text.spelling import SPELLING_HELP
from src.text.text_processing import TextProcessing
from src.text.tokenization import tokenize_text
from src.utils.dictionary import Dictionary
from src.utils.load_weights import save_weights

CODES = "#version: 0.2\nt h\nth e</w>\n"


@pytest.fixture
def codes(tmp_path):
    path = tmp_path / "some.codes"
    path.write_text(CODES)
    return str(path)


def test_each_step_has_its_effect(codes):
    line = 'The "cat" ate 12 mice.'
    assert TextProcessing("none").encode([line]).subwords == [line]
    tokens = "The `` cat '' ate 12 mice ."
    assert TextProcessing("nltk").encode([line]).words == [tokens]
    assert TextProcessing("nltk", lower_case=True).encode([line]).words == [tokens.lower()]
    assert TextProcessing("nltk", digits_to_hash=True).encode([line]).words == [tokens.replace("12", "##")]
    named = TextProcessing("nltk", brackets_to_names=True)
    assert named.encode(["(The [cat]) :-) f(x)"]).words == ["-lrb- The -lsb- cat -rsb- -rrb- : - -rrb- f -lrb- x -rrb-"]
    assert named.to_text(["-lrb-", "The", "-lsb-", "cat", "-rsb-", "-rrb-", "ran"]) == "(The [cat]) ran"
    whole = TextProcessing("nltk", codes, lower_case=True, digits_to_hash=True).encode([line])
    assert whole.words == [tokens.lower().replace("12", "##")]
    assert whole.subwords[0].startswith("the `@@ ` c@@ a@@ t ")


def test_lines_are_kept_and_spellings_of_the_unknown_token_remain_whole(codes):
    text = TextProcessing("nltk", codes, lower_case=True, digits_to_hash=True)
    processed = text.encode(["", "UNK is <unk>", " \t ", "the"])
    assert processed.words == ["", "UNK is <unk>", "", "the"]
    assert processed.subwords == ["", "UNK i@@ s <unk>", "", "the"]
    assert text.encode([]).words == []


@given(st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=20), max_size=5))
def test_any_text_has_as_many_lines_as_before(lines):
    processed = TextProcessing("nltk", lower_case=True, digits_to_hash=True).encode(lines)
    assert len(processed.words) == len(processed.subwords) == len(lines)


def test_a_line_end_in_a_line_is_refused():
    """It would shift all lines after it."""
    for tokenizer in ("nltk", "none"):
        with pytest.raises(ValueError, match="contains a line end"):
            TextProcessing(tokenizer).encode(["the cat\nsat", "on"])


@pytest.mark.parametrize("text", [
    "He can't say \"yes\" to that.", "It rose 3.5 % (to $40), they said; why?", "The company's shares don't move!",
    "5,000 people live in St. Petersburg."])
def test_detokenizing_english_restores_it(text):
    tokens = tokenize_text("nltk", text + "\n").text.split()
    assert detokenize("nltk", tokens).replace("3.5%", "3.5 %") == text


def test_a_hash_for_a_digit_keeps_the_space_after_it():
    assert detokenize("nltk", ["rose", "#", "percent", "."], hashes_are_digits=True) == "rose # percent."


def test_chinese_has_spaces_between_latin_words_only():
    words = ["我", "爱", "Python", "语言", "，", "Hello", "world", ",", "(", "2026", "年", ")"]
    assert detokenize("jieba", words) == "我爱Python语言，Hello world, (2026年)"


def test_text_without_a_tokenizer_stays_tokenized(codes):
    subwords = ["c@@", "a@@", "t", "'s", "."]
    assert TextProcessing("none", codes=codes).to_text(subwords) == "cat 's ."
    assert TextProcessing("nltk", codes=codes).to_text(subwords) == "cat's."


def test_the_folder_can_be_moved(tmp_path, codes):
    text = TextProcessing("nltk", codes, lower_case=True, brackets_to_names=True)
    folder = tmp_path / "run"
    folder.mkdir()
    text.save(str(folder))
    shutil.move(folder, tmp_path / "moved")
    os.remove(codes)
    found = TextProcessing.load(str(tmp_path / "moved"))
    assert found.encode(["The"]) == (["the"], ["the"]) and found.lower_case and not found.digits_to_hash
    assert found.brackets_to_names
    assert TextProcessing.load(str(tmp_path)) is None


def test_earlier_descriptions_keep_their_rules_of_tokenization(tmp_path):
    TextProcessing("jieba").save(str(tmp_path))
    path = tmp_path / "text.json"
    content = json.loads(path.read_text())
    assert content.pop(CHECKSUM)  # earlier ones have neither
    assert content.pop("brackets_to_names") is False
    assert content.pop("rules") == 2 and TextProcessing("jieba").encode(["Привет"]).words == ["Привет"]
    path.write_text(json.dumps(content))
    earlier = TextProcessing.load(str(tmp_path))
    assert earlier.encode(["Привет"]).words == ["П р и в е т"]
    earlier.save(str(tmp_path))
    assert TextProcessing.load(str(tmp_path)) == earlier
    files = types.SimpleNamespace(checkpoint=str(tmp_path / "x.npz"), vocabulary=Dictionary())
    save_weights(files.checkpoint, {"a": np.zeros(1)}, {})
    assert find_text(files, {"tokenizer": "jieba"}) == find_text(files, {}) == earlier
    assert find_text(files, {"tokenizer": "nltk"}) == TextProcessing("nltk")
    spelled = {"lower_case": True, "digits_to_hash": True, "brackets_to_names": True}
    assert find_text(files, spelled) == TextProcessing("jieba", rules=1, **spelled)


@pytest.mark.parametrize("name", SPELLING_HELP)
def test_each_change_of_spelling_is_a_flag_and_an_entry_of_the_description(tmp_path, name):
    parser = argparse.ArgumentParser()
    add_text_flags(parser)
    files = types.SimpleNamespace(checkpoint=str(tmp_path / "x.npz"), vocabulary=Dictionary())
    save_weights(files.checkpoint, {"a": np.zeros(1)}, {})
    text = find_text(files, text_flags(parser.parse_args(["--tokenizer", "none", f"--{name}"])))
    assert text == TextProcessing("none", **{name: True}) != TextProcessing("none")
    line = "The ( 1 )"
    assert text.encode([line]).words != [line] and text.encode(text.encode([line]).words) == text.encode([line])
    assert str(text) != str(TextProcessing("none"))
    text.save(str(tmp_path))
    assert find_text(files, {}) == text
    assert find_text(files, text_flags(parser.parse_args([f"--no-{name}"]))) == TextProcessing("none")


def test_words_without_codes(tmp_path):
    TextProcessing("jieba").save(str(tmp_path))
    assert TextProcessing.load(str(tmp_path)) == TextProcessing("jieba")


def test_codes_that_have_changed_are_rejected(tmp_path, codes):
    TextProcessing("nltk", codes=codes).save(str(tmp_path))
    copy = TextProcessing.load(str(tmp_path)).codes
    with open(copy, "a") as stream:
        stream.write("a b\n")
    with pytest.raises(MassError, match="not the BPE codes"):
        TextProcessing.load(str(tmp_path))
    os.remove(copy)
    with pytest.raises(MassError, match="BPE codes .* does not exist"):
        TextProcessing.load(str(tmp_path))


@pytest.mark.parametrize("change", [{"version": 2}, {"rules": 3}, {"rules": True},
                                    {"tokenizer": "moses"}, {"lower_case": "yes"}, {"brackets_to_names": 1},
                                    {"codes": {}}])
def test_a_damaged_description_is_rejected(tmp_path, change):
    TextProcessing("nltk").save(str(tmp_path))
    path = tmp_path / "text.json"
    content = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps(content))
    with pytest.raises(MassError, match="text.json.*(checksum differs|version 2).*remove it"):
        TextProcessing.load(str(tmp_path))
    del content[CHECKSUM]
    path.write_text(json.dumps({**content, CHECKSUM: checksum_of(content)}))
    if change == {"codes": {}}:  # empty, which means the same as null
        assert TextProcessing.load(str(tmp_path)) == TextProcessing("nltk")
        return
    with pytest.raises(MassError, match="text.json.*remove it"):
        TextProcessing.load(str(tmp_path))


def test_only_the_description_beside_a_checkpoint_is_read(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "mean").mkdir()
    TextProcessing("none").save(str(tmp_path / "run"))
    path = str(tmp_path / "mean" / "model.npz")
    save_weights(path, {"a": np.zeros(1)}, {"vocabulary": {"file": "../run/words.bin", "size": 5, "fingerprint": "f"}})
    assert find_text_processing(path) is None
    TextProcessing("none").save(str(tmp_path / "mean"))
    assert find_text_processing(path) == TextProcessing("none")


def test_subwords_need_codes(codes):
    vocabulary = Dictionary.from_counts({"c@@": 1, "at": 1})
    with pytest.raises(UsageError, match="--codes"):
        TextProcessing("nltk").require_codes(vocabulary, "--codes")
    TextProcessing("nltk", codes=codes).require_codes(vocabulary, "--codes")
    TextProcessing("nltk").require_codes(Dictionary.from_counts({"cat": 1}), "--codes")
