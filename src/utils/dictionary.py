"""The vocabulary: tokens in order, their frequencies, and the way from text to ids and back."""
import gzip
import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np

from src.common.errors import MassError
from src.common.files import atomic_output, require_file
from src.common.text_files import read_lines

SPECIAL_TOKENS = ("<pad>", "<s>", "</s>", "<unk>", "<mask>")
PAD_INDEX, BOS_INDEX, EOS_INDEX, UNK_INDEX, MASK_INDEX = range(len(SPECIAL_TOKENS))
UNKNOWN_SPELLINGS = ("<unk>", "UNK", "<UNK>")
"""How data sets write a word they do not know (`UNK` in the Gigaword test set): always `<unk>`, never a word."""

_FORMAT, _VERSION = "mass-dictionary", 1
_PICKLE_STARTS = (b"\x80", b"c", b"(", b"]", b"}")  # a protocol mark, a class, a tuple, a list, a dictionary
_LOWER_CASE_MIN_FREQUENCY = 200
_SIZE_MULTIPLE = 16  # matrix units like a vocabulary size they can divide


class TokenIndex(dict[str, int]):
    """Ids by token, as `index["Hello"]` or `index("Hello")`.

    A token that is not in the vocabulary is looked up in lower case, which counts if that form has a
    frequency of 200 or more; all others are `<unk>`.
    """

    def __init__(self, tokens: Sequence[str], frequencies: Sequence[int]):
        super().__init__(zip(tokens, range(len(tokens)), strict=True))
        self.update(dict.fromkeys(UNKNOWN_SPELLINGS, UNK_INDEX))
        self._frequencies = frequencies

    def __missing__(self, token: str) -> int:
        index = self.get(token.lower(), UNK_INDEX)
        return index if self._frequencies[index] >= _LOWER_CASE_MIN_FREQUENCY else UNK_INDEX

    def __call__(self, token: str) -> int:
        return self[token]


class Dictionary:
    """An immutable vocabulary: ids 0..4 are `<pad> <s> </s> <unk> <mask>`, then words by falling frequency.

    "Words" are the tokens of the encoded text, that is BPE subwords such as `Hel@@`. `dictionary[3]` is the
    token of an id, `dictionary.index["Hello"]` the id of a token (see `TokenIndex`).
    """

    pad_index, bos_index, eos_index, unk_index, mask_index = PAD_INDEX, BOS_INDEX, EOS_INDEX, UNK_INDEX, MASK_INDEX

    def __init__(self, word_frequencies: Iterable[tuple[str, int]] = ()):
        """`word_frequencies`: (word, frequency) in the order of their ids, without the special tokens."""
        words = list(word_frequencies)
        self.tokens: list[str] = [*SPECIAL_TOKENS, *(word for word, _ in words)]
        self.frequencies: list[int] = [0] * len(SPECIAL_TOKENS) + [frequency for _, frequency in words]
        self.index = TokenIndex(self.tokens, self.frequencies)
        # As `index`, for words of a text, which must not forge an end or a mask: there `</s>` is an unknown word.
        self.text_index = TokenIndex(self.tokens, self.frequencies)
        self.text_index.update(dict.fromkeys(SPECIAL_TOKENS, UNK_INDEX))

    @classmethod
    def from_counts(cls, counts: Mapping[str, int]) -> "Dictionary":
        """Words by falling frequency, equal ones by spelling.

        Special tokens, spellings of the unknown word and white space (a lone U+00A0) are left out.
        """
        reserved = {*SPECIAL_TOKENS, *UNKNOWN_SPELLINGS}
        words = ((word, count) for word, count in counts.items() if word not in reserved and not word.isspace())
        return cls(sorted(words, key=lambda pair: (-pair[1], pair[0])))

    @classmethod
    def from_ids(cls, tokens: Sequence[str], frequencies: Sequence[int]) -> "Dictionary":
        """All tokens, the special ones included, and their frequencies, in the order of their ids.

        Raises:
            ValueError: they are no vocabulary; the message says why.
        """
        if not isinstance(tokens, list | tuple) or set(map(type, tokens)) - {str}:
            raise ValueError("'symbols' is not a list of strings")
        whole = isinstance(frequencies, list | tuple) and not set(map(type, frequencies)) - {int}
        if not whole or min(frequencies, default=0) < 0:
            raise ValueError("'frequencies' is not a list of whole numbers")
        if len(tokens) != len(frequencies):
            raise ValueError(f"it has {len(tokens)} tokens and {len(frequencies)} frequencies")
        start = len(SPECIAL_TOKENS)
        if tuple(tokens[:start]) != SPECIAL_TOKENS:
            raise ValueError(f"its first tokens are not {' '.join(SPECIAL_TOKENS)}")
        different = set(tokens)
        if len(different) != len(tokens):
            raise ValueError(f"a token occurs twice: {Counter(tokens).most_common(1)[0][0]!r}")
        if "" in different or not set(" \n").isdisjoint("".join(tokens)):
            index = next(i for i, token in enumerate(tokens) if not token or not set(" \n").isdisjoint(token))
            raise ValueError(f"token {index} is no word of a text: {tokens[index]!r}")
        return cls(zip(tokens[start:], frequencies[start:], strict=True))

    @classmethod
    def load_from_text(cls, filepaths: str | Sequence[str]) -> "Dictionary":
        """Build a dictionary from files of `word frequency` lines; a word found several times adds up.

        Raises:
            MassError: a line is not of that form; the message names the file and the line.
        """
        counts: Counter[str] = Counter()
        for path in [filepaths] if isinstance(filepaths, str) else filepaths:
            for number, line in enumerate(read_lines(path), start=1):
                word, _, frequency = line.rpartition(" ")
                good_word = word.strip() and " " not in word
                if not (good_word and frequency.isascii() and frequency.isdigit() and int(frequency)):
                    raise MassError(f"{path}, line {number}: {line[:80]!r} is not 'word frequency', such as 'the 1234'")
                counts[word] += int(frequency)
        return cls.from_counts(counts)

    @classmethod
    def load_from_persisted_dict(cls, path: str) -> "Dictionary":
        """Load what `persistence` has written.

        Raises:
            MassError: the file is missing, damaged, or something else (a pickle, for example).
        """
        with open(require_file(path, "vocabulary"), "rb") as stream:
            data = stream.read()
        if data.endswith(b".") and data.startswith(_PICKLE_STARTS):
            raise MassError(
                f"{path}: this vocabulary is a Python pickle, which is refused: loading one can run any code its "
                f"author liked. One of the earlier implementation can be converted, which runs nothing of it: python "
                f"vocabulary.py convert {path} --output NEW; or build it anew from word frequencies: "
                f"apply_bpe_encoding.py --vocab_path, or python vocabulary.py build"
            )
        try:
            content = json.loads(gzip.decompress(data))
        except (OSError, EOFError, zlib.error, ValueError) as error:
            raise MassError(
                f"{path}: not a vocabulary, or a damaged one ({error}); apply_bpe_encoding.py --vocab_path makes one"
            ) from error
        try:
            if not isinstance(content, dict) or content.get("format") != _FORMAT:
                raise ValueError(f"its format is not {_FORMAT!r}")
            if content.get("version") != _VERSION:
                raise ValueError(f"its version is {content.get('version')!r}, this program reads version {_VERSION}")
            return cls.from_ids(content.get("symbols"), content.get("frequencies"))
        except ValueError as error:
            raise MassError(
                f"{path}: not a usable vocabulary: {error}; apply_bpe_encoding.py --vocab_path makes one"
            ) from error

    def persistence(self, path: str) -> None:
        """Write the dictionary as gzipped JSON; equal dictionaries give equal bytes."""
        content = {
            "format": _FORMAT,
            "version": _VERSION,
            "symbols": self.tokens,
            "frequencies": self.frequencies,
        }
        data = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
        with atomic_output(path) as temporary, open(temporary, "wb") as stream:
            stream.write(gzip.compress(data, mtime=0))

    def export(self, path: str) -> None:
        """Write the words as `word frequency` lines, which `load_from_text` reads."""
        with atomic_output(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(f"{word} {frequency}\n" for word, frequency in self._words())

    def merge_dict(self, other: "Dictionary") -> "Dictionary":
        """A new dictionary of the words of both, frequencies added."""
        counts = Counter(dict(self._words()))
        counts.update(dict(other._words()))
        return Dictionary.from_counts(counts)

    def shrink(self, threshold: int = 50) -> "Dictionary":
        """A new dictionary without the words of frequency <= `threshold`.

        As many of the most frequent dropped ones stay as make the size a multiple of 16 (all of them, if
        there are too few).
        """
        words = sorted(self._words(), key=lambda pair: (-pair[1], pair[0]))
        kept = sum(frequency > threshold for _, frequency in words)
        kept += -(len(SPECIAL_TOKENS) + kept) % _SIZE_MULTIPLE
        return Dictionary(words[:kept])

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over the tokens in order, as 64 hexadecimal digits."""
        return hashlib.sha256("\n".join(self.tokens).encode("utf-8")).hexdigest()

    def describe_difference(self, other: "Dictionary") -> str:
        """Both sizes and the first id whose tokens differ, for an error message."""
        sizes = f"{len(self)} and {len(other)} tokens"
        for index, (mine, theirs) in enumerate(zip(self.tokens, other.tokens, strict=False)):
            if mine != theirs:
                return f"{sizes}; the first difference is id {index}: {mine!r} and {theirs!r}"
        return f"{sizes}; " + ("the shorter one begins the longer" if len(self) != len(other) else "no difference")

    def encode(self, tokens: Sequence[str], append_eos: bool = True) -> np.ndarray:
        """[n] or, with `</s>`, [n + 1] int32: the ids of the tokens of a text.

        A token that is spelled like a special token becomes `<unk>`.
        """
        ids = list(map(self.text_index.__getitem__, tokens))
        if append_eos:
            ids.append(EOS_INDEX)
        return np.array(ids, dtype=np.int32)

    def decode(self, ids: Iterable[int]) -> list[str]:
        """The tokens up to the first `</s>`, without `<pad>` and `<s>`."""
        tokens = []
        for index in ids:
            if index == EOS_INDEX:
                break
            if index not in (PAD_INDEX, BOS_INDEX):
                tokens.append(self.tokens[index])
        return tokens

    def _words(self) -> Iterable[tuple[str, int]]:
        start = len(SPECIAL_TOKENS)
        return zip(self.tokens[start:], self.frequencies[start:], strict=True)

    def __getitem__(self, index: int) -> str:
        return self.tokens[index]

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: str) -> bool:
        return token in self._token_set

    def __repr__(self) -> str:
        return f"Dictionary({len(self)} tokens, fingerprint {self.fingerprint[:12]})"

    @cached_property
    def _token_set(self) -> frozenset[str]:
        return frozenset(self.tokens)
