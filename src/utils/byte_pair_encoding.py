"""Byte-pair encoding (Sennrich et al., ACL 2016) with codes learned by subword-nmt."""
import io
import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain

from src.utils.dictionary import SPECIAL_SYMBOLS, UNKNOWN_SPELLINGS
from src.utils.errors import MassError
from src.utils.files import atomic_output, read_lines

GLOSSARIES = tuple(f"^{re.escape(symbol)}$" for symbol in dict.fromkeys(SPECIAL_SYMBOLS + UNKNOWN_SPELLINGS))
"""Tokens left whole, as `subword-nmt apply-bpe --glossaries` takes them.

They are anchored: only the token `UNK` stands for an unknown word, not a part of `DRUNK`.
"""

_SEPARATOR = "@@"
_CACHE_WORDS = 1 << 18  # about 60 MB; a million lines of news have 300,000 distinct words


class BytePairEncoding:
    """Splits words into subwords, `Hello` into `Hel@@ lo`.

    The result is that of `subword-nmt apply-bpe` with `GLOSSARIES`, except that every spelling of an
    unknown word is written `<unk>`. (That command also cuts words at U+0085, U+2028 and the like, which its
    reader takes for line ends; tokenized text holds none.) Each distinct word is split once and remembered.
    """

    def __init__(self, codes_path: str):
        """Raises MassError if the file is missing or its lines are not pairs of subwords."""
        # Imported here: the packages that only join subwords or read a vocabulary need no subword-nmt.
        from subword_nmt.apply_bpe import BPE

        self._bpe = BPE(io.StringIO(_checked_codes(codes_path)), separator=_SEPARATOR)
        self._cache = _WordCache(self._bpe)

    def encode_line(self, line: str) -> str:
        """Encode words separated by spaces; spaces at both ends stay, doubled ones inside do not."""
        core = line.strip(" ")
        if not core:
            return line
        encoded = " ".join([self._cache[word] for word in core.split(" ") if word])
        start = line.index(core)
        return line[:start] + encoded + line[start + len(core) :]

    def encode_lines(self, lines: Sequence[str]) -> tuple[list[str], Counter[str]]:
        """Encode lines and count the subwords of the result."""
        word_lists = [line.split(" ") for line in lines]
        words = Counter(chain.from_iterable(word_lists))
        if "" in words:  # spaces at an end or doubled, or an empty line
            del words[""]
            encoded = list(map(self.encode_line, lines))
        else:
            encoded = [" ".join(map(self._cache.__getitem__, word_list)) for word_list in word_lists]
        subwords: Counter[str] = Counter()
        for word, frequency in words.items():
            for subword in self._cache[word].split(" "):
                subwords[subword] += frequency
        return encoded, subwords

    def encode_file(self, source: str, output: str) -> Counter[str]:
        """Encode a text file line by line; returns the frequency of each subword of the result."""
        counts: Counter[str] = Counter()
        with atomic_output(output) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as stream:
            for line in read_lines(source):
                (encoded,), subwords = self.encode_lines([line])
                counts.update(subwords)
                stream.write(encoded + "\n")
        return counts


class _WordCache(dict[str, str]):
    """Encoded form by word; a missing word is encoded on the way, and a full cache starts afresh."""

    def __init__(self, bpe):
        super().__init__()
        self._bpe = bpe
        self._restart()

    def __missing__(self, word: str) -> str:
        if len(self) >= _CACHE_WORDS:
            self._restart()
        encoded = self[word] = " ".join(self._bpe.segment_tokens([word]))
        self._bpe.cache.clear()  # subword-nmt's own, which would hold every word once more, without bound
        return encoded

    def _restart(self) -> None:
        self.clear()
        self.update((symbol, symbol) for symbol in SPECIAL_SYMBOLS)
        self.update((spelling, "<unk>") for spelling in UNKNOWN_SPELLINGS)


def join_subwords(text: str | Sequence[str]) -> str:
    """Undo the encoding: `Hel@@ lo world` (or its tokens) becomes `Hello world`."""
    joined = text if isinstance(text, str) else " ".join(text)
    return joined.replace(_SEPARATOR + " ", "").removesuffix(_SEPARATOR)


def _checked_codes(path: str) -> str:
    """The text of a codes file whose every line is a merge; subword-nmt itself would end the process at a bad one."""
    lines = list(read_lines(path))
    while lines and not lines[-1]:
        lines.pop()
    header = bool(lines) and lines[0].startswith("#version:")
    if header and lines[0].split(":")[1].strip() not in ("0.1", "0.2"):
        raise MassError(f"{path}, line 1: {lines[0]!r}: only versions 0.1 and 0.2 of BPE codes are known")
    if len(lines) == header:
        raise MassError(f"{path}: holds no BPE codes; scripts/learn_subword.sh makes them")
    for number, line in enumerate(lines[header:], start=1 + header):
        if len(line.strip(" ").split(" ")) != 2:
            raise MassError(
                f"{path}, line {number}: {line[:80]!r} is not a BPE code (two subwords with a space between); "
                f"scripts/learn_subword.sh makes such files"
            )
    return "\n".join(lines)
