"""Byte-pair encoding (Sennrich et al., ACL 2016) with codes learned by subword-nmt."""
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush

import numpy as np

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
_EMPTY = -1  # no key of the table of codes
_OLDEST_VERSION, *_ = _VERSIONS = ("0.1", "0.2")  # of codes files; the oldest has no header
_STRIPPED = "\r\n "  # what subword-nmt leaves alone at both ends of a line
_LONG_WORD = 100  # characters; longer words are split one by one, with a heap
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
        self._cache.encode_new(set(words) - self._cache.keys())
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
    """Encoded form by word. A word may begin with a line end, which stays."""

    def __init__(self, merges: "Merges"):
        super().__init__(_CACHE_WORDS)
        self._merges = merges

    def encode_new(self, words: Iterable[str]) -> None:
        """Encode words and remember them. Many at a time take a fraction of the time that one by one takes."""
        # A piece ends at what subword-nmt's reader takes for a line end (U+2028, ...), or is a whole word.
        pieces = [(word, word.splitlines(keepends=True)) for word in words]
        cores = {core for _, parts in pieces for part in parts if (core := part.strip(_STRIPPED))}.difference(_WHOLE)
        ordered = list(cores)
        encoded = dict(zip(ordered, self._merges.encode(ordered), strict=True))
        for word, parts in pieces:
            self[word] = "".join([self._put_back(part, encoded) for part in parts])

    @staticmethod
    def _put_back(part: str, encoded: Mapping[str, str]) -> str:
        core = part.strip(_STRIPPED)
        return part.replace(core, encoded[core], 1) if core in encoded else part


class Merges:
    """The codes: pairs of symbols in the order in which they are merged. The last symbol of a word bears `</w>`."""

    def __init__(self, pairs: Iterable[tuple[str, str]], joined_end: bool = True):
        """`joined_end`: `</w>` starts as part of the last character (codes of version 0.2), not as a symbol (0.1)."""
        self._ranks: dict[tuple[str, str], int] = {}
        for rank, pair in enumerate(pairs):
            self._ranks.setdefault(pair, rank)
        self._joined_end = joined_end
        self._numbers = _Numbers(self._ranks)

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

    def encode(self, words: Sequence[str]) -> list[str]:
        """The subwords of each word, as `Hel@@ lo`; words hold no line end."""
        if not self._joined_end:
            return [(_SEPARATOR + " ").join(self.split(word)) for word in words]
        short = [word for word in words if len(word) <= _LONG_WORD]
        encoded = dict(zip(short, self._merge_together(short), strict=True))
        return [encoded[word] if word in encoded else (_SEPARATOR + " ").join(self.split(word)) for word in words]

    def _merge_together(self, words: Sequence[str]) -> list[str]:
        """As `split`, for all words at once: each round merges the best pair of every word.

        Symbols are numbers (0: in no code), end to end; `places` are those of their first characters.
        """
        if not words:
            return []
        characters = np.frombuffer("".join(words).encode("utf-32-le", "surrogatepass"), np.uint32)
        lengths = np.fromiter(map(len, words), np.int64, len(words))
        ends = np.cumsum(lengths)
        table = self._numbers
        symbols = table.of_character[characters]
        symbols[ends - 1] = table.of_last_character[characters[ends - 1]]
        begins = np.zeros(len(characters), bool)  # where a subword begins
        places, word_of = np.arange(len(characters)), np.repeat(np.arange(len(words)), lengths)
        while len(symbols):
            ranks = table.ranks(symbols[:-1], symbols[1:])
            ranks[word_of[:-1] != word_of[1:]] = table.no_rank
            ranks = np.append(ranks, table.no_rank)
            firsts = np.flatnonzero(np.append(True, word_of[1:] != word_of[:-1]))
            best = np.minimum.reduceat(ranks, firsts)
            counts = np.diff(np.append(firsts, len(symbols)))
            best_here = np.repeat(best, counts)
            open_here = best_here != table.no_rank
            begins[places[~open_here]] = True  # their words are done
            merged = open_here & (ranks == best_here)
            merged = _every_other(merged)
            symbols[merged] = table.merged[ranks[merged]]
            stays = open_here
            stays[1:] &= ~merged[:-1]
            symbols, places, word_of = symbols[stays], places[stays], word_of[stays]
        return _with_separators(characters, begins, ends)

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


class _Numbers:
    """Symbols and codes as numbers. Symbol 0 stands for all that are in no code."""

    def __init__(self, ranks: Mapping[tuple[str, str], int]):
        pairs = list(ranks)
        numbers: dict[str, int] = {}
        for left, right in pairs:
            for symbol in (left, right, left + right):
                numbers.setdefault(symbol, len(numbers) + 1)
        self.of_character, self.of_last_character = (np.zeros(sys.maxunicode + 1, np.int32) for _ in range(2))
        for symbol, number in numbers.items():
            bare = symbol.removesuffix(_END)
            if len(bare) == 1:
                (self.of_character if bare == symbol else self.of_last_character)[ord(bare)] = number
        self._size = len(numbers) + 1
        self.no_rank = max(ranks.values(), default=0) + 1
        values = np.array(list(ranks.values()), np.int32)
        self.merged = np.zeros(self.no_rank, np.int32)  # [ranks]: what the pair becomes
        self.merged[values] = [numbers[left + right] for left, right in pairs]
        keys = np.array([numbers[left] * self._size + numbers[right] for left, right in pairs], np.int64)
        self._make_table(keys, values)

    def ranks(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Of pairs of symbols; `no_rank` where they are no code."""
        wanted = left * np.int64(self._size) + right
        slots = self._slots_of(wanted)
        keys = self._keys[slots]
        found = np.where(keys == wanted, self._values[slots], self.no_rank)
        searched = np.flatnonzero((keys != wanted) & (keys != _EMPTY))
        slots = slots[searched]
        while len(searched):  # another key stands in the slot: look into the next one
            slots = slots + 1
            keys = self._keys[slots]
            here = keys == wanted[searched]
            found[searched[here]] = self._values[slots[here]]
            go_on = ~here & (keys != _EMPTY)
            searched, slots = searched[go_on], slots[go_on]
        return found

    def _make_table(self, keys: np.ndarray, values: np.ndarray) -> None:
        """A hash table with open addressing, which numpy searches for many keys at a time."""
        self._bits = max(4, (8 * len(keys)).bit_length())
        self._keys = np.full((1 << self._bits) + len(keys) + 1, _EMPTY, np.int64)
        self._values = np.zeros(len(self._keys), np.int32)
        taken = set()
        for slot, key, value in zip(self._slots_of(keys).tolist(), keys.tolist(), values.tolist(), strict=True):
            while slot in taken:
                slot += 1
            taken.add(slot)
            self._keys[slot], self._values[slot] = key, value

    def _slots_of(self, keys: np.ndarray) -> np.ndarray:
        """Where keys stand first: multiplicative hashing (Knuth, vol. 3, 6.4)."""
        return ((keys.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - self._bits)).astype(np.int64)


def _every_other(marks: np.ndarray) -> np.ndarray:
    """The first, third, ... of each run of marks: overlapping pairs (a a a) merge from left to right."""
    if not (marks[1:] & marks[:-1]).any():
        return marks
    places = np.arange(len(marks))
    run_start = np.maximum.accumulate(np.where(marks & ~np.append(False, marks[:-1]), places, 0))
    return marks & ((places - run_start) % 2 == 0)


def _with_separators(characters: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> list[str]:
    """The words that end before `ends`, with `@@ ` before each subword but the first."""
    inside = begins.copy()
    inside[0] = False
    inside[ends[:-1]] = False
    gap = np.zeros(len(characters), np.int64)  # characters to put before each character
    gap[inside] = len(_SEPARATOR) + 1
    gap[ends[:-1]] = 1  # a line end between words
    places = np.cumsum(gap + 1) - 1
    out = np.empty(places[-1] + 1, np.uint32)
    out[places] = characters
    out[places[ends[:-1]] - 1] = ord("\n")
    for offset, character in enumerate(reversed(_SEPARATOR + " "), start=1):
        out[places[inside] - offset] = ord(character)
    return out.tobytes().decode("utf-32-le", "surrogatepass").split("\n")


def join_subwords(text: str | Sequence[str]) -> str:
    """Undo the encoding: `Hel@@ lo world` (or its tokens) becomes `Hello world`."""
    joined = text if isinstance(text, str) else " ".join(text)
    return joined.replace(_SEPARATOR + " ", "").removesuffix(_SEPARATOR)
