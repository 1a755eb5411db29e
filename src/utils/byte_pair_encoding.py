"""Byte-pair encoding (Sennrich et al., ACL 2016) with codes learned by subword-nmt."""
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush

from src.utils.dictionary import SPECIAL_SYMBOLS, UNKNOWN_SPELLINGS
from src.utils.errors import MassError
from src.utils.recent_words import RecentWords
from src.utils.text_files import read_lines

_WHOLE = tuple(dict.fromkeys(SPECIAL_SYMBOLS + UNKNOWN_SPELLINGS))
GLOSSARIES = tuple(f"^{re.escape(symbol)}$" for symbol in _WHOLE)
"""Tokens left whole, as `subword-nmt apply-bpe --glossaries` takes them.

They are anchored: only the token `UNK` stands for an unknown word, not a part of `DRUNK`.
"""

_SEPARATOR = "@@"
_END = "</w>"
_OLDEST_VERSION, *_ = _VERSIONS = ("0.1", "0.2")  # of codes files; the oldest has no header
_STRIPPED = "\r\n "  # what subword-nmt leaves alone at both ends of a line
_CACHE_WORDS = 150_000  # about 25 MB; most words of a larger number would not come again soon


class BytePairEncoding:
    """Splits words into subwords, `Hello` into `Hel@@ lo`.

    The result is that of `subword-nmt apply-bpe` with `GLOSSARIES`, to the byte. Each distinct word is split once and
    remembered; a text is then split, looked up and joined as a whole, so that no Python code runs for each word.
    """

    def __init__(self, codes_path: str):
        """Raises MassError if the file is missing or its lines are not pairs of subwords."""
        self._cache = _WordCache(Merges.load(codes_path))

    def encode_text(self, text: str) -> tuple[str, Counter[str]]:
        """Encode whole lines, whose ends stay, and count the encoded words (`count_subwords` makes use of them)."""
        if "  " in text:
            text = "\n".join(map(_without_double_spaces, text.split("\n")))
        # Line ends stay, at the beginning of the next word: `\nThe` is one more word to look up.
        words = text.replace("\n", " \n").split(" ")
        encoded = list(map(self._cache.__getitem__, words))
        self._cache.forget_old_words(words)
        return " ".join(encoded).replace(" \n", "\n"), Counter(encoded)

    def encode_line(self, line: str) -> str:
        """Encode words separated by spaces; spaces at both ends stay, doubled ones inside do not."""
        return self.encode_text(line)[0]


def count_subwords(encoded_words: Mapping[str, int]) -> Counter[str]:
    """The frequency of each subword, from the frequencies of encoded words such as `Hel@@ lo`."""
    counts: Counter[str] = Counter()
    for word, frequency in encoded_words.items():
        for subword in word.strip("\r\n").split(" "):
            counts[subword] += frequency
    del counts[""]
    return counts


def _without_double_spaces(line: str) -> str:
    """The line with single spaces between words, as subword-nmt leaves it: between what its reader takes for lines."""
    pieces = []
    for piece in line.splitlines(keepends=True):
        core = piece.strip(_STRIPPED)
        if core:
            start = piece.index(core)
            words = filter(None, core.split(" "))
            piece = piece[:start] + " ".join(words) + piece[start + len(core) :]
        pieces.append(piece)
    return "".join(pieces)


class _WordCache(RecentWords):
    """Encoded form by word; a missing word is encoded on the way. A word may begin with a line end, which stays."""

    def __init__(self, merges: "Merges"):
        super().__init__(_CACHE_WORDS)
        self._merges = merges

    def __missing__(self, word: str) -> str:
        encoded = "".join(map(self._encode, word.splitlines(keepends=True)))
        self[word] = encoded = word if encoded == word else encoded  # one string in memory where one will do
        return encoded

    def _encode(self, piece: str) -> str:
        """`piece` ends at what subword-nmt's reader takes for a line end (U+2028, ...), or is a whole word."""
        core = piece.strip(_STRIPPED)
        if not core or core in _WHOLE:
            return piece
        return piece.replace(core, (_SEPARATOR + " ").join(self._merges.split(core)), 1)


class Merges:
    """The codes: pairs of symbols in the order in which they are merged. The last symbol of a word bears `</w>`."""

    def __init__(self, pairs: Iterable[tuple[str, str]], joined_end: bool = True):
        """`joined_end`: `</w>` starts as part of the last character (codes of version 0.2), not as a symbol (0.1)."""
        self._ranks: dict[tuple[str, str], int] = {}
        for rank, pair in enumerate(pairs):
            self._ranks.setdefault(pair, rank)
        self._joined_end = joined_end

    @classmethod
    def load(cls, path: str) -> "Merges":
        """Raises MassError if the file is missing or its lines are not pairs of subwords."""
        lines = list(read_lines(path))
        while lines and not lines[-1]:
            lines.pop()
        version = _OLDEST_VERSION
        if header := bool(lines) and lines[0].startswith("#version:"):
            version = lines[0].split(":")[1].strip()
            if version not in _VERSIONS:
                raise MassError(f"{path}, line 1: {lines[0]!r}: only versions 0.1 and 0.2 of BPE codes are known")
        if len(lines) == header:
            raise MassError(f"{path}: holds no BPE codes; scripts/learn_subword.sh makes them")
        pairs = [tuple(line.strip(" ").split(" ")) for line in lines[header:]]
        for number, pair in enumerate(pairs, start=1 + header):
            if len(pair) != 2:
                raise MassError(
                    f"{path}, line {number}: {lines[number - 1][:80]!r} is not a BPE code (two subwords with a space "
                    f"between); scripts/learn_subword.sh makes such files"
                )
        return cls(pairs, joined_end=version != _OLDEST_VERSION)

    def split(self, word: str) -> list[str]:
        """The subwords of a word of one character or more: its pairs are merged in the order of their ranks.

        Each round merges every occurrence of one pair, from left to right, as in Algorithm 1 of the paper. The pairs
        wait in a heap, so that a word of a megabyte takes seconds.
        """
        if len(word) == 1:
            return [word]
        symbols = [*word[:-1], word[-1] + _END] if self._joined_end else [*word, _END]
        end = len(symbols)
        before, after = list(range(-1, end - 1)), list(range(1, end + 1))  # neighbours; a symbol merged away is ""
        rank_of = self._ranks.get
        pairs = zip(symbols, symbols[1:], strict=False)
        waiting = [(rank, place) for place, pair in enumerate(pairs) if (rank := rank_of(pair)) is not None]
        heapify(waiting)
        while waiting:
            best = waiting[0][0]
            merged = []
            while waiting and waiting[0][0] == best:
                place = heappop(waiting)[1]
                right = after[place]
                if right == end or rank_of((symbols[place], symbols[right])) != best:
                    continue  # one of the two has been merged meanwhile
                symbols[place] += symbols[right]
                symbols[right] = ""
                after[place] = after[right]
                if after[place] != end:
                    before[after[place]] = place
                merged.append(place)
            for right in merged:  # new pairs wait for the next round, even those of a better rank
                for left in (before[right], right):
                    pair_end = after[left] if left >= 0 else end
                    if pair_end != end and (rank := rank_of((symbols[left], symbols[pair_end]))) is not None:
                        heappush(waiting, (rank, left))
        subwords = [symbol for symbol in symbols if symbol]
        if subwords[-1] == _END:
            subwords.pop()
        else:
            subwords[-1] = subwords[-1].removesuffix(_END)
        return subwords


def join_subwords(text: str | Sequence[str]) -> str:
    """Undo the encoding: `Hel@@ lo world` (or its tokens) becomes `Hello world`."""
    joined = text if isinstance(text, str) else " ".join(text)
    return joined.replace(_SEPARATOR + " ", "").removesuffix(_SEPARATOR)
