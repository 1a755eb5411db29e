"""Undoing tokenization: from words separated by spaces to text with normal spacing."""
import re
from collections.abc import Sequence
from functools import cache

# Han, kana, bopomofo and their punctuation, which are written without spaces.
CJK = ("\u2e80-\u30ff\u3100-\u312f\u31f0-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef"
        "\U00020000-\U0003ffff")
_SPACE_AT_CJK = re.compile(f"(?<=[{CJK}]) | (?=[{CJK}])")
_SPACE_BEFORE_MARK = re.compile(r" (?=[,.;:!?%)\]}])")
_SPACE_AFTER_BRACKET = re.compile(r"(?<=[(\[{]) ")
_HASH_STAND_IN = "\ufdd0"  # Unicode reserves this code point for internal use by programs

_LETTER = "[A-Za-z\u00c0-\u024f]"
_CLITIC = "(?:[sSmMdDtT]|ll|LL|re|RE|ve|VE)"
_LEADING = "(?:[tT]is|[tT]was|[tT]il|em|[0-9#]0s)"  # words that begin with an apostrophe
_APOSTROPHE = "\ufdd1"

TYPOGRAPHIC_RULES = [
    ("(?<=[“‘„«]) ", ""),
    (f"’ (?={_LEADING}(?!{_LETTER}))", _APOSTROPHE),
    (" (?=[’”»])", ""),
    (f"(?<=[^ ]’) (?={_CLITIC}(?!{_LETTER}))", ""),
    # An elision: O’Brien, l’homme, but not the end of a quotation such as ‘I’.
    (f"(?:(?<=[ “„«(\\[—]{_LETTER}’)|(?<=\\A{_LETTER}’)|(?<=‘[OdDlLcCjJ]’)|(?<=[qQ]u’)) (?={_LETTER})", ""),
    (_APOSTROPHE, "’"),
    ("(?<=[0-9#]) (?=[‒–] [0-9#])", ""), ("(?<=[0-9#][‒–]) (?=[0-9#])", ""), (" — ", "—"), ("(?<=[’”»)]) (?=…)", ""),
]
"""Regular expressions and texts that replace their matches, one after the other: they remove the spaces that a
tokenizer puts around typographic quotation marks, apostrophes and dashes. src/export uses them, too."""
_TYPOGRAPHIC = re.compile("[“”„‘’«»‒–—…]")


def detokenize(tokenizer: str, words: Sequence[str], hashes_are_digits: bool = False) -> str:
    """Undo the tokenization of a text by nltk or jieba, as far as this is possible from its words.

    Args:
        tokenizer: "nltk" or "jieba".
        words: the words of the text.
        hashes_are_digits: `#` stands for a digit; otherwise the space after it would be removed.
    """
    if tokenizer == "jieba":
        text = _SPACE_AT_CJK.sub("", " ".join(words))
        return _join_typographic(_SPACE_AFTER_BRACKET.sub("", _SPACE_BEFORE_MARK.sub("", text)))
    if hashes_are_digits:
        words = [word.replace("#", _HASH_STAND_IN) for word in words]
    return _join_typographic(_treebank().detokenize(list(words)).replace(_HASH_STAND_IN, "#"))


def _join_typographic(text: str) -> str:
    if _TYPOGRAPHIC.search(text):
        for pattern, content in TYPOGRAPHIC_RULES:
            text = re.sub(pattern, content, text)
    return text


@cache
def _treebank():
    """Load nltk's rules for English, which need no data files."""
    from nltk.tokenize.treebank import TreebankWordDetokenizer

    return TreebankWordDetokenizer()
