"""The vocabulary: tokens, their ids and their frequencies."""
import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np

from src.common.errors import MassError
from src.common.files import atomic_output, require_file
from src.common.json_files import parse_json
from src.common.regular_files import gunzip_bounded, read_bounded
from src.common.text_files import read_lines

SPECIAL_TOKENS = ("<pad>", "<s>", "</s>", "<unk>", "<mask>")
PAD_INDEX, BOS_INDEX, EOS_INDEX, UNK_INDEX, MASK_INDEX = range(len(SPECIAL_TOKENS))
UNKNOWN_SPELLINGS = ("<unk>", "UNK", "<UNK>")
"""Spellings of the unknown token in data sets (the Gigaword test set has `UNK`). They always mean `<unk>`."""

VOCABULARY_ENDING = ".bin"
"""What the names of the copies of a vocabulary end with, beside records and in run folders."""

_FORMAT, _VERSION = "mass-dictionary", 1
_MAX_DIGITS = 18  # of a frequency; larger ones are no counts of a text
_MAX_BYTES = 1 << 26  # of a vocabulary, decompressed: 3 million tokens of usual length
_PICKLE_STARTS = (b"\x80", b"c", b"(", b"]", b"}")  # protocol, class, tuple, list, dictionary
LOWER_CASE_MIN_FREQUENCY = 200
_SIZE_MULTIPLE = 16  # matrix units are fastest for sizes that they can divide


class TokenIndex(dict[str, int]):
    """A mapping from tokens to ids, used as `index["Hello"]` or `index("Hello")`.

    A token that is not in the vocabulary has the id of its lower-case form if that has a frequency of 200 or more, and
    else the id of `<unk>`.
    """

    def __init__(self, tokens: Sequence[str], frequencies: Sequence[int]):
        super().__init__(zip(tokens, range(len(tokens)), strict=True))
        self.update(dict.fromkeys(UNKNOWN_SPELLINGS, UNK_INDEX))
        self._frequencies = frequencies

    def __missing__(self, token: str) -> int:
        index = self.get(token.lower(), UNK_INDEX)
        return index if self._frequencies[index] >= LOWER_CASE_MIN_FREQUENCY else UNK_INDEX

    def __call__(self, token: str) -> int:
        return self[token]


class Dictionary:
    """An immutable vocabulary: ids 0 to 4 are `<pad> <s> </s> <unk> <mask>`, then tokens by descending frequency.

    Tokens are what stands between spaces in encoded text, that is, BPE subwords such as `Hel@@`. `dictionary[3]` is the
    token with id 3, and `dictionary.index["Hello"]` is the id of a token (see `TokenIndex`).
    """

    pad_index, bos_index, eos_index, unk_index, mask_index = PAD_INDEX, BOS_INDEX, EOS_INDEX, UNK_INDEX, MASK_INDEX

    def __init__(self, token_frequencies: Iterable[tuple[str, int]] = ()):
        """`token_frequencies`: (token, frequency) in the order of the ids, without the special tokens."""
        pairs = list(token_frequencies)
        self.tokens: list[str] = [*SPECIAL_TOKENS, *(token for token, _ in pairs)]
        self.frequencies: list[int] = [0] * len(SPECIAL_TOKENS) + [frequency for _, frequency in pairs]
        self.index = TokenIndex(self.tokens, self.frequencies)
        # The index for the tokens of a text, in which a literal `</s>` or `<mask>` must not act as a special token.
        self.text_index = TokenIndex(self.tokens, self.frequencies)
        self.text_index.update(dict.fromkeys(SPECIAL_TOKENS, UNK_INDEX))

    @classmethod
    def from_counts(cls, counts: Mapping[str, int]) -> "Dictionary":
        """Return the vocabulary of counted tokens, by descending frequency and then by spelling.

        Special tokens, spellings of the unknown token and white space (such as a lone U+00A0) are left out.
        """
        reserved = {*SPECIAL_TOKENS, *UNKNOWN_SPELLINGS}
        pairs = ((token, count) for token, count in counts.items() if token not in reserved and not token.isspace())
        return cls(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))

    @classmethod
    def from_ids(cls, tokens: Sequence[str], frequencies: Sequence[int]) -> "Dictionary":
        """Return the vocabulary with these tokens (including the special ones) and frequencies, ordered by id.

        Raises:
            ValueError: they do not form a vocabulary; the message gives the reason.
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
            raise ValueError(f"token {index} is {tokens[index]!r}; tokens must not be empty or contain white space")
        return cls(zip(tokens[start:], frequencies[start:], strict=True))

    @classmethod
    def load_from_text(cls, filepaths: str | Sequence[str]) -> "Dictionary":
        """Build a dictionary from files of `word frequency` lines; frequencies of the same word are added.

        Raises:
            MassError: a line does not have this form; the message names file and line.
        """
        counts: Counter[str] = Counter()
        for path in [filepaths] if isinstance(filepaths, str) else filepaths:
            for number, line in enumerate(read_lines(path), start=1):
                word, _, frequency = line.rpartition(" ")
                valid_word = word and " " not in word
                if not (valid_word and frequency.isascii() and frequency.isdigit() and len(frequency) <= _MAX_DIGITS):
                    raise MassError(f"{path}, line {number}: {line[:80]!r} is not 'word frequency', as in 'the 1234'")
                counts[word] += int(frequency)
        return cls.from_counts(counts)

    @classmethod
    def load_from_persisted_dict(cls, path: str) -> "Dictionary":
        """Load a dictionary that `persistence` has written.

        Raises:
            MassError: the file is missing, damaged, or of another kind (a pickle, for example).
        """
        try:
            data = read_bounded(require_file(path, "vocabulary"), _MAX_BYTES)
        except ValueError as error:
            raise MassError(f"{path}: not a vocabulary: {error}") from error
        if data.endswith(b".") and data.startswith(_PICKLE_STARTS):
            raise MassError(
                f"{path}: this vocabulary is a Python pickle, which is refused: loading a pickle can run any code its "
                f"author chose. Convert a vocabulary of the earlier implementation (this runs no code from it): python "
                f"vocabulary.py convert {path} --output NEW; or build a new one from word frequencies: "
                f"apply_bpe_encoding.py --vocab_path, or python vocabulary.py build"
            )
        try:
            content = parse_json(gunzip_bounded(data, _MAX_BYTES))
        except ValueError as error:
            raise MassError(
                f"{path}: not a vocabulary, or damaged ({error}); create one with apply_bpe_encoding.py --vocab_path"
            ) from error
        try:
            if not isinstance(content, dict) or content.get("format") != _FORMAT:
                raise ValueError(f"its format is not {_FORMAT!r}")
            if content.get("version") != _VERSION:
                raise ValueError(f"its version is {content.get('version')!r}; this program reads version {_VERSION}")
            return cls.from_ids(content.get("symbols"), content.get("frequencies"))
        except ValueError as error:
            raise MassError(
                f"{path}: not a usable vocabulary: {error}; create one with apply_bpe_encoding.py --vocab_path"
            ) from error

    def persistence(self, path: str) -> None:
        """Write the dictionary as gzipped JSON; equal dictionaries yield identical files."""
        content = {
            "format": _FORMAT,
            "version": _VERSION,
            "symbols": self.tokens,
            "frequencies": self.frequencies,
        }
        data = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
        if len(data) > _MAX_BYTES:
            raise MassError(f"{path}: a vocabulary of {len(self):,} tokens takes more than {_MAX_BYTES >> 20} MiB, "
                            f"which is not read again; leave out rare tokens (--threshold)")
        with atomic_output(path) as temporary, open(temporary, "wb") as stream:
            stream.write(gzip.compress(data, mtime=0))

    def export(self, path: str) -> None:
        """Write the tokens as `word frequency` lines, which `load_from_text` reads."""
        with atomic_output(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(f"{token} {frequency}\n" for token, frequency in self._ordinary_tokens())

    def merge_dict(self, other: "Dictionary") -> "Dictionary":
        """Return a new dictionary with the tokens of both; frequencies are added."""
        counts = Counter(dict(self._ordinary_tokens()))
        counts.update(dict(other._ordinary_tokens()))
        return Dictionary.from_counts(counts)

    def shrink(self, threshold: int = 50) -> "Dictionary":
        """Return a new dictionary without the tokens of frequency <= `threshold`.

        The most frequent of these tokens are kept if they are needed to make the size a multiple of 16.
        """
        pairs = sorted(self._ordinary_tokens(), key=lambda pair: (-pair[1], pair[0]))
        kept = sum(frequency > threshold for _, frequency in pairs)
        kept += -(len(SPECIAL_TOKENS) + kept) % _SIZE_MULTIPLE
        return Dictionary(pairs[:kept])

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 digest of the tokens in order, as 64 hexadecimal digits."""
        return hashlib.sha256("\n".join(self.tokens).encode("utf-8")).hexdigest()

    def describe_difference(self, other: "Dictionary") -> str:
        """Describe both sizes and the first id whose tokens differ, for an error message."""
        sizes = f"{len(self)} and {len(other)} tokens"
        for index, (mine, theirs) in enumerate(zip(self.tokens, other.tokens, strict=False)):
            if mine != theirs:
                return f"{sizes}; the first difference is id {index}: {mine!r} and {theirs!r}"
        same = "no difference" if len(self) == len(other) else "the larger one starts with the smaller one"
        return f"{sizes}; {same}"

    def encode(self, tokens: Sequence[str], append_eos: bool = True) -> np.ndarray:
        """Return the ids of the tokens of a text, followed by that of `</s>` if `append_eos`: [n] or [n + 1], int32.

        A token that is spelled like a special token becomes `<unk>`.
        """
        ids = list(map(self.text_index.__getitem__, tokens))
        if append_eos:
            ids.append(EOS_INDEX)
        return np.array(ids, dtype=np.int32)

    def decode(self, ids: Iterable[int], continued: Container[int] = ()) -> list[str]:
        """Return the tokens before the first `</s>`, without `<pad>` and `<s>`.

        Args:
            continued: the positions of unknown subwords that are not the last ones of their words. They become
                `<unk>@@`, of which `join_subwords` makes one unknown word.
        """
        tokens = []
        for position, index in enumerate(ids):
            if index == EOS_INDEX:
                break
            if index not in (PAD_INDEX, BOS_INDEX):
                token = self.tokens[index]
                tokens.append(f"{token}@@" if index == UNK_INDEX and position in continued else token)
        return tokens

    def _ordinary_tokens(self) -> Iterable[tuple[str, int]]:
        """All tokens but the special ones, with their frequencies."""
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
