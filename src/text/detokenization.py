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


def detokenize(tokenizer: str, words: Sequence[str], hashes_are_digits: bool = False) -> str:
    """Undo the tokenization of a text by nltk or jieba, as far as this is possible from its words.

    Args:
        tokenizer: "nltk" or "jieba".
        words: the words of the text.
        hashes_are_digits: `#` stands for a digit; otherwise the space after it would be removed.
    """
    if tokenizer == "jieba":
        text = _SPACE_AT_CJK.sub("", " ".join(words))
        return _SPACE_AFTER_BRACKET.sub("", _SPACE_BEFORE_MARK.sub("", text))
    if hashes_are_digits:
        words = [word.replace("#", _HASH_STAND_IN) for word in words]
    return _treebank().detokenize(list(words)).replace(_HASH_STAND_IN, "#")


@cache
def _treebank():
    """Load nltk's rules for English, which need no data files."""
    from nltk.tokenize.treebank import TreebankWordDetokenizer

    return TreebankWordDetokenizer()
