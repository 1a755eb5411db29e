"""The rules that stand for nltk in exported models, against nltk."""
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.export.text_rules import ONIGURUMA, PYTHON, UNKNOWN, apply_rules, detokenization_rules, text_rules
from src.text.detokenization import detokenize
from src.text.text_processing import TextProcessing
from src.utils.dictionary import SPECIAL_TOKENS, UNKNOWN_SPELLINGS

NLTK = TextProcessing("nltk")
RULES, DETOKENIZATION = text_rules(NLTK, PYTHON), detokenization_rules(NLTK, PYTHON)
TEXT_PIECES = """
can not cannot ' '' " ` `` . .. ... , : ; ! ? ( ) [ ] < > { } -- - a B the 's n't 'll 've 'tis 't 1 1,000 2.5
$ # % & * @ « » “ ” ’ ‘ „ — é 中 UNK <unk> </s> d'ye more'n wanna gonna lemme I'm O'Neil _ is was x 'd 're gimme
"""
WORDS = "can not wan na 't is was `` '' ( ) , . ? : -- n't 's do I $ % # ... 5 ; <unk> “ ” ‘ ’ « » – — …"
lines = st.lists(st.sampled_from([*TEXT_PIECES.split(), " ", "\t", "\u00a0"]), max_size=14).map("".join)
words = st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=10)


def two_clitics_in_a_row(each: list[str]) -> bool:
    """Whether nltk would treat the second one as if it were not one, which the rules do for two, but not for three."""
    return any(all(word.startswith(("'", "n't")) for word in pair) for pair in zip(each, each[1:], strict=False))


def nltk_words(line: str) -> str:
    """The words of nltk, with unknown tokens as the rules mark them."""
    (text,) = NLTK.encode([line]).words
    return " ".join(UNKNOWN if word in {*SPECIAL_TOKENS, *UNKNOWN_SPELLINGS} else word for word in text.split(" "))


@settings(max_examples=400, deadline=None)
@given(lines)
def test_rules_tokenize_as_nltk_does(line):
    assert apply_rules(RULES, line) == nltk_words(line)


@settings(max_examples=400, deadline=None)
@given(words.filter(lambda each: not two_clitics_in_a_row(each)))
def test_rules_undo_tokenization_as_nltk_does(each):
    assert apply_rules(DETOKENIZATION, " ".join(each)) == detokenize("nltk", each)


def test_hashes_that_stand_for_digits_keep_their_spaces():
    rules = detokenization_rules(TextProcessing("nltk", digits_to_hash=True), PYTHON)
    assert apply_rules(rules, "# dogs , $ #.#") == detokenize("nltk", ["#", "dogs", ",", "$", "#.#"], True) == \
        "# dogs, $#.#"


def test_chinese_words_are_joined():
    rules = detokenization_rules(TextProcessing("jieba"), PYTHON)
    tokens = ["我", "有", "3", "只", "cats", "(", "猫", ")", "。"]
    assert apply_rules(rules, " ".join(tokens)) == detokenize("jieba", tokens)


@settings(max_examples=200, deadline=None)
@given(lines)
def test_rules_of_the_package_tokenizers_are_the_same(line):
    tokenizers = pytest.importorskip("tokenizers", reason="requirements-export.txt is not installed")
    steps = [tokenizers.normalizers.Replace(tokenizers.Regex(pattern), content)
             for pattern, content in text_rules(NLTK, ONIGURUMA)]
    assert tokenizers.normalizers.Sequence(steps).normalize_str(line) == nltk_words(line)
