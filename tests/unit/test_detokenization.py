"""Detokenization: what a tokenizer splits comes back, in ASCII and in typographic text."""
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.export.text_rules import PYTHON, apply_rules, detokenization_rules
from src.text.detokenization import detokenize
from src.text.text_processing import TextProcessing
from src.text.tokenization import tokenize_text

WORDS = st.sampled_from(["car", "John", "house", "Paris", "we", "été", "go"])
CONTRACTIONS = st.sampled_from(["It’s", "John’s", "don’t", "we’ll", "I’m", "they’ve", "you’re", "he’d", "dogs’",
                                "O’Brien", "l’homme", "qu’il", "’tis", "’90s", "1990–2000", "house—car"])
PHRASES = st.lists(WORDS | CONTRACTIONS, min_size=1, max_size=4).map(" ".join)
QUOTES = st.tuples(st.sampled_from(["“”", "‘’", "«»", "„”", "()"]), PHRASES).map(lambda two: two[1].join(two[0]))
NESTED = PHRASES.map(lambda phrase: f"“‘{phrase}’ he said”")
SENTENCES = st.tuples(st.lists(PHRASES | QUOTES | NESTED, min_size=1, max_size=4), st.sampled_from([" ", ", ", " – "]),
                      st.sampled_from([".", "!", "?", "…", ""])).map(lambda parts: parts[1].join(parts[0]) + parts[2])
# The tokens of a dash with spaces between two numbers are those of a range, such as 5–6.
SENTENCES = SENTENCES.filter(lambda text: not re.search("[0-9] – [0-9]", text))


def tokens_of(text, tokenizer="nltk"):
    return tokenize_text(tokenizer, text + "\n").text.split()


detokenize("nltk", tokens_of("Loading nltk takes more time than an example may take."))


@given(SENTENCES)
def test_typographic_text_comes_back(text):
    assert detokenize("nltk", tokens_of(text)) == text


@pytest.mark.parametrize("text", [
    "It’s John’s “car”.", "“Don’t!” he said.", "The dogs’ house (“the kennel”) is «new».", "‘I’ think",
    "He said: “‘Tis nothing”, didn’t he?", "“I never", "„Guten Tag”, 5–6 p.m.—or later", "’Twas O’Hara’s"])
def test_typographic_sentences_come_back(text):
    assert detokenize("nltk", tokens_of(text)) == text


@given(st.lists(st.sampled_from(["It", "s", "l", "O", "“", "”", "‘", "’", "„", "«", "»", "–", "—", "5", "#", ".", ",",
                                 "(", ")", "em", "他", "”。", "…"]), max_size=12), st.sampled_from(["nltk", "jieba"]))
def test_exported_rules_are_equal(words, tokenizer):
    text = TextProcessing(tokenizer)
    assert apply_rules(detokenization_rules(text, PYTHON), " ".join(words)) == detokenize(tokenizer, words)


def test_typographic_marks_in_chinese():
    text = "他说：“Hello world”，‘OK’。"
    assert detokenize("jieba", tokens_of(text, "jieba")) == text
