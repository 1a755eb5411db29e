"""Tokens back to text as people write it."""
import re
from collections.abc import Sequence
from functools import cache

# Han, kana, bopomofo, and the punctuation that goes with them: written without spaces.
_CJK = ("\u2e80-\u30ff\u3100-\u312f\u31f0-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef"
        "\U00020000-\U0003ffff")
_SPACE_AT_CJK = re.compile(f"(?<=[{_CJK}]) | (?=[{_CJK}])")
_SPACE_BEFORE_MARK = re.compile(r" (?=[,.;:!?%)\]}])")
_SPACE_AFTER_BRACKET = re.compile(r"(?<=[(\[{]) ")
_HASH_STAND_IN = "\ufdd0"  # no character: Unicode reserves it for the use inside a program


def detokenize(tokenizer: str, words: Sequence[str], hashes_are_digits: bool = False) -> str:
    """Undo what the tokenizer (nltk or jieba) did to a text, as far as its words tell.

    Args:
        hashes_are_digits: `#` stands for a digit, so that it keeps its distance to the word that follows.
    """
    if tokenizer == "jieba":
        text = _SPACE_AT_CJK.sub("", " ".join(words))
        return _SPACE_AFTER_BRACKET.sub("", _SPACE_BEFORE_MARK.sub("", text))
    if hashes_are_digits:
        words = [word.replace("#", _HASH_STAND_IN) for word in words]
    return _treebank().detokenize(list(words)).replace(_HASH_STAND_IN, "#")


@cache
def _treebank():
    """nltk's rules for English; they need no data."""
    from nltk.tokenize.treebank import TreebankWordDetokenizer

    return TreebankWordDetokenizer()
