"""Words by jieba, which knows Chinese and ASCII; words of other alphabets are kept whole."""
import re
import unicodedata
from collections.abc import Callable, Iterator
from sys import maxunicode

_EAST = ("\u2e80-\u2fff\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303b\u3040-\u3098\u309b-\u312f\u31a0-\u31bf"
         "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff")
"""Han, kana and bopomofo, which are written without spaces between words."""
_JOINERS = "\u200c\u200d"  # they stand inside words of Persian and Indian languages


class JiebaTokenizer:
    """Tokenizes lines with jieba.

    jieba returns every character that is neither Han nor ASCII on its own. Here a run of letters and combining marks
    outside Han, kana and bopomofo (`café`, `Привет`) stays one token, as does any character with its combining marks.
    """

    def __init__(self, cut: Callable[[str], Iterator[str]], keep_words: bool = True):
        """`cut`: jieba's function; `keep_words`: False returns what jieba returns, the first set of rules."""
        self._cut = cut
        marks = "".join(character for character in map(chr, range(128, maxunicode + 1))
                        if unicodedata.category(character).startswith("M")) if keep_words else ""
        foreign = f"(?:(?![{_EAST}])[^\\W\\d_a-zA-Z]|[{marks}{_JOINERS}])"
        self.whole = re.compile(
            f"((?<![A-Za-z])[A-Za-z]*{foreign}(?:[A-Za-z]|{foreign})*|[^\\s][{marks}]+)") if keep_words else None

    def tokenize(self, text: str) -> tuple[str, int]:
        """Tokenize lines that each end with `\\n`; return the lines of tokens and the number of tokens."""
        token_lists = [[token for token in self._tokens(line) if token != " "] for line in text.split("\n")[:-1]]
        return "".join([" ".join(tokens) + "\n" for tokens in token_lists]), sum(map(len, token_lists))

    def _tokens(self, line: str) -> Iterator[str]:
        if self.whole is None or line.isascii():
            yield from self._cut(line)
            return
        for number, piece in enumerate(self.whole.split(line)):
            if number % 2:
                yield piece
            else:
                yield from self._cut(piece)
