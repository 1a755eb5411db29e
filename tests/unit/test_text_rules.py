"""The rules that stand for nltk in exported models, against nltk."""
from functools import cache

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from src.export.huggingface.tokenizer import PieceTable, make_tokenizer
from src.export.text_rules import ONIGURUMA, PYTHON, UNKNOWN, apply_rules, detokenization_rules, text_rules
from src.text.detokenization import detokenize
from src.text.text_processing import TextProcessing
from src.utils.dictionary import SPECIAL_TOKENS, UNKNOWN_SPELLINGS, Dictionary

NLTK = TextProcessing("nltk")
thorough = settings(max_examples=400, suppress_health_check=list(HealthCheck))
RULES, DETOKENIZATION = text_rules(NLTK, PYTHON), detokenization_rules(NLTK, PYTHON)
TEXT_PIECES = """
can not cannot ' '' " ` `` . .. ... , : ; ! ? ( ) [ ] < > { } -- - a B the 's n't 'll 've 'tis 't 1 1,000 2.5
$ # % & * @ « » “ ” ’ ‘ „ — é 中 UNK <unk> </s> d'ye more'n wanna gonna lemme I'm O'Neil _ is was x 'd 're gimme
"""
WORDS = "can not wan na 't is was `` '' ( ) , . ? : -- n't 's do I $ % # ... 5 ; <unk> “ ” ‘ ’ « » – — …"
lines = st.lists(st.sampled_from([*TEXT_PIECES.split(), " ", "\t", "\u00a0"]), max_size=14).map("".join)
words = st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=10)
# Alphabets in which the matches of nltk's rules touch each other, so that one consumes what the next one would need.
MARKS = [list("'\"`., a"), list("()[]<>{}.:,' \"a"), [".", "..", ":", ",", "1", "a", " ", "-", "'", '"'],
         ["'", "s", "'s", "n't", "'ll", "t", " ", "can", "not", "gı", "mme", "ſ", "½", "\u0301", "٣", "é"],
         list("“”„‘’«»–—… st1#.a")]
dense_lines = st.sampled_from(MARKS).flatmap(
    lambda marks: st.lists(st.sampled_from(marks), max_size=14).map("".join))


def nltk_words(line: str) -> str:
    """The words of nltk, with unknown tokens as the rules mark them."""
    (text,) = NLTK.encode([line]).words
    return " ".join(UNKNOWN if word in {*SPECIAL_TOKENS, *UNKNOWN_SPELLINGS} else word for word in text.split(" "))


@thorough
@given(lines | dense_lines)
@example("'\'\"\"\"")
@example("a::::::::::b")
def test_rules_tokenize_as_nltk_does(line):
    assert apply_rules(RULES, line) == nltk_words(line)


@thorough
@given(words | dense_lines.map(str.split).filter(len))
@example(["`", ".", "'", "."])
@example([";", ".", '"', ".", "'", ".", "'", ".", "x"])
@example(["I", "'s", "'s", "'s", "'s", "x", "'ll", "'ll", "'ll", "'ll", "x"])
@example([",", "''", "''", "''", "''", '"', '"', "'", "''"])
def test_rules_undo_tokenization_as_nltk_does(each):
    assert apply_rules(DETOKENIZATION, " ".join(each)) == detokenize("nltk", each)


@thorough
@given(st.text("Σσ猫aA'.:·é\u0301\u00adʰªİıßⅧǅ -1()[]{}", max_size=8))
@example("猫Σ ΟΔΟΣ Σ A'Σ. AΣ'b ʰΣ")
@example("([x] {b}) a(b")
def test_lower_case_is_that_of_python_and_brackets_have_names(line):
    tokenizer = lower_case_tokenizer()
    (words,) = TextProcessing("nltk", lower_case=True, brackets_to_names=True).encode([line]).words
    assert " ".join(tokenizer.normalizer.normalize_str(line).split()) == words


@cache
def lower_case_tokenizer():
    pytest.importorskip("tokenizers", reason="requirements-export.txt is not installed")
    text, vocabulary = TextProcessing("nltk", lower_case=True, brackets_to_names=True), Dictionary([("a", 1)])
    return make_tokenizer(text, vocabulary, PieceTable(text, vocabulary))


def test_hashes_that_stand_for_digits_keep_their_spaces():
    rules = detokenization_rules(TextProcessing("nltk", digits_to_hash=True), PYTHON)
    assert apply_rules(rules, "# dogs , $ #.#") == detokenize("nltk", ["#", "dogs", ",", "$", "#.#"], True) == \
        "# dogs, $#.#"


def test_names_of_brackets_become_brackets():
    text = TextProcessing("nltk", brackets_to_names=True)
    tokens = ["a", "-lrb-", "-lsb-", "b", "-rsb-", "-lcb-", "c-lrb-d", "-rcb-", "-rrb-", "."]
    assert text.to_text(tokens) == "a ([b] {c-lrb-d})."
    assert apply_rules(detokenization_rules(text, PYTHON), " ".join(tokens)) == text.to_text(tokens)
    assert replacements(text, decoding=True).decode([" ".join(tokens)]) == text.to_text(tokens)


def test_chinese_words_are_joined():
    rules = detokenization_rules(TextProcessing("jieba"), PYTHON)
    tokens = ["我", "有", "3", "只", "cats", "(", "猫", ")", "。"]
    assert apply_rules(rules, " ".join(tokens)) == detokenize("jieba", tokens)


@cache
def replacements(text, decoding):
    """The rules as steps of the package tokenizers."""
    package = pytest.importorskip("tokenizers", reason="requirements-export.txt is not installed")
    module = package.decoders if decoding else package.normalizers
    rules = (detokenization_rules if decoding else text_rules)(text, ONIGURUMA)
    return module.Sequence([module.Replace(package.Regex(pattern), content) for pattern, content in rules])


@thorough
@given(lines | dense_lines)
@example("'\'\"\"\"")
@example("a::::::::::b")
def test_rules_of_the_package_tokenizers_are_the_same(line):
    assert replacements(NLTK, decoding=False).normalize_str(line) == nltk_words(line)


@thorough
@given(words | dense_lines.map(str.split).filter(len))
@example([";", ".", '"', ".", "'", ".", "'", ".", "x"])
@example(["I", "'s", "'s", "'s", "'s", "x", "'ll", "'ll", "'ll", "'ll", "x"])
@example([",", "''", "''", "''", "''", '"', '"', "'", "''"])
def test_decoding_by_the_package_tokenizers_is_the_same(each):
    assert replacements(NLTK, decoding=True).decode([" ".join(each)]) == detokenize("nltk", each)
