"""Two encoders that apply BPE codes to text, with the same result: one in C, and one by subword-nmt.

Both take lines whose words are separated by single spaces. Spaces at the ends of a line are kept.
"""
import ctypes
import io
import os
import sys
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

import numpy as np

from src.common.errors import MassError
from src.common.native_library import NativeSource, build_library, check_struct_sizes
from src.utils.bpe.codes import END, BpeCodes

SEPARATOR = "@@"

_SOURCE = NativeSource(
    name="bpe",
    folder=os.path.dirname(os.path.abspath(__file__)),
    flags=("-std=gnu11", "-O2", "-fPIC", "-shared"),
)
_CACHE_WORDS = 1 << 15  # about 10 MB in Python
_LONGEST_CACHED = 256  # characters; longer words are rare, and their number does not bound their memory


class BpeEncoder(Protocol):
    """The interface of an encoder."""

    def encode(self, text: str) -> str:
        """Return the lines with their words split into subwords."""

    def take_counts(self) -> Counter[str]:
        """Return the frequency of each subword in the text that was encoded since the last call."""


class _SubwordCounts(ctypes.Structure):
    """The struct SubwordCounts of bpe.c."""

    _fields_ = [("names", ctypes.c_void_p), ("names_size", ctypes.c_size_t),
                ("counts", ctypes.POINTER(ctypes.c_uint64)), ("distinct", ctypes.c_size_t)]


class CompiledBpeEncoder:
    """The encoder in bpe.c, which processes whole texts; its memory does not grow with them."""

    def __init__(self, codes: BpeCodes, whole: Sequence[str], cache_folder: str = ""):
        """Compile the library if necessary, and load the codes into it.

        Args:
            whole: words that are never split.

        Raises:
            MassError: there is no C compiler, or it fails (see `build_library`).
        """
        self._library, self.note = build_library(_SOURCE, _load, cache_folder)[1:]
        numbers = codes.number_symbols()
        symbols = np.array([(numbers[left], numbers[right], numbers[left + right]) for left, right in codes.pairs],
                           np.uint32).T.copy()
        characters, last_characters = np.zeros((2, sys.maxunicode + 1), np.uint32)
        for symbol, number in numbers.items():
            bare = symbol.removesuffix(END)
            if len(bare) == 1:
                (characters if bare == symbol else last_characters)[ord(bare)] = number
        end_symbol = 0 if codes.joined_end else numbers.get(END, len(numbers) + 1)
        names = "".join(word + "\n" for word in whole).encode("utf-8")
        self._encoder = self._library.bpe_new(
            len(codes.pairs), *(array.ctypes.data for array in (*symbols, characters, last_characters)), end_symbol,
            names, len(names),
        )
        if not self._encoder:
            raise MemoryError

    def encode(self, text: str) -> str:
        raw = text.encode("utf-8", "surrogatepass")
        size = ctypes.c_size_t(len(raw))
        encoded = self._library.bpe_encode(self._encoder, raw, ctypes.byref(size))
        if not encoded:
            raise MemoryError
        return _string_at(encoded, size.value)

    def take_counts(self) -> Counter[str]:
        result = _SubwordCounts()
        if not self._library.bpe_count(self._encoder, ctypes.byref(result)):
            raise MemoryError
        names = _string_at(result.names, result.names_size).split("\n")[:-1]
        counts = Counter(dict(zip(names, result.counts[: result.distinct], strict=True)))
        self._library.bpe_forget_counts(self._encoder)
        return counts

    def __del__(self):
        if getattr(self, "_encoder", None):
            self._library.bpe_free(self._encoder)


def _load(path: str) -> ctypes.CDLL:
    library = ctypes.CDLL(path)
    check_struct_sizes(library, __name__)
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    library.bpe_new.restype = pointer
    library.bpe_new.argtypes = [size, *[pointer] * 5, ctypes.c_uint32, ctypes.c_char_p, size]
    library.bpe_encode.restype = pointer
    library.bpe_encode.argtypes = [pointer, ctypes.c_char_p, ctypes.POINTER(size)]
    library.bpe_count.argtypes = [pointer, ctypes.POINTER(_SubwordCounts)]
    for function in (library.bpe_forget_counts, library.bpe_free):
        function.restype, function.argtypes = None, [pointer]
    return library


def _string_at(address: int | None, size: int) -> str:
    return ctypes.string_at(address, size).decode("utf-8", "surrogatepass") if size else ""


def subword_nmt_version() -> str:
    """Return the version of subword-nmt.

    Raises:
        MassError: it is not installed.
    """
    try:
        return version("subword-nmt")
    except PackageNotFoundError as error:
        raise MassError(f"{sys.executable} has no package subword-nmt; install it with: sh scripts/setup_venv.sh") \
            from error


class SubwordNmtEncoder:
    """The encoder of subword-nmt with a bounded cache of words; it takes minutes for a word of a megabyte."""

    def __init__(self, codes: BpeCodes, whole: Sequence[str], cache_words: int = _CACHE_WORDS):
        """`whole`: words that are never split; `cache_words`: the size of the cache."""
        subword_nmt_version()
        from subword_nmt.apply_bpe import BPE

        self._bpe, self._whole = BPE(io.StringIO(str(codes))), frozenset(whole)
        self._encode_word = lru_cache(cache_words)(self._encode_new)
        self._counts: Counter[str] = Counter()

    def encode(self, text: str) -> str:
        encoded = [self._encode_word(word) if len(word) <= _LONGEST_CACHED else self._encode_new(word)
                   for word in text.replace("\n", " \n ").split(" ")]
        for word, frequency in Counter(encoded).items():
            for subword in word.strip("\r\n").split(" "):
                self._counts[subword] += frequency
        return " ".join(encoded).replace(" \n ", "\n")

    def take_counts(self) -> Counter[str]:
        counts, self._counts = self._counts, Counter()
        del counts[""]
        return counts

    def _encode_new(self, word: str) -> str:
        """Encode a word; its pieces between line ends (in the sense of subword-nmt) are words of their own."""
        self._bpe.cache.clear()  # it is not bounded
        pieces = word.splitlines(keepends=True)
        return "".join(piece if piece.rstrip("\r") in self._whole else self._bpe.process_line(piece)
                       for piece in pieces)
