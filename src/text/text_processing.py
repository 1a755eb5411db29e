"""From the text people write to the symbols of a model, and back: what must travel with its weights."""
import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from src.common.errors import MassError, UsageError
from src.common.files import atomic_output, copy_atomically, require_file
from src.text.detokenization import detokenize
from src.text.tokenization import TOKENIZERS, tokenize_text
from src.utils.byte_pair_encoding import BytePairEncoding, join_subwords
from src.utils.dictionary import SPECIAL_TOKENS, UNKNOWN_SPELLINGS, Dictionary

TEXT_FILE = "text.json"
"""Where it is described, in a folder of checkpoints."""
TOKENIZED = "none"
"""The tokenizer of text that has its tokens separated by spaces already."""
TEXT_TOKENIZERS = (*TOKENIZERS, TOKENIZED)

_FORMAT, _VERSION = "mass-text", 1
_WORD = re.compile("[^ \n]+")
_DIGIT = re.compile("[0-9]")
_KEPT = {*SPECIAL_TOKENS, *UNKNOWN_SPELLINGS}


class ProcessedLines(NamedTuple):
    """Lines of text as words and as subwords, both separated by single spaces."""

    words: list[str]
    subwords: list[str]


@dataclass(frozen=True)
class TextProcessing:
    """How raw text becomes what records hold."""

    tokenizer: str  # one of TEXT_TOKENIZERS
    lower_case: bool = False
    digits_to_hash: bool = False  # `1,234` is `#,###`, as in Gigaword
    codes: str = ""  # path of the BPE codes; empty: words are the symbols

    def encode(self, lines: Sequence[str]) -> ProcessedLines:
        """Return the words and the subwords of lines, which must not contain line ends.

        Raises:
            MassError: the tokenizer cannot be imported, or the codes are missing or damaged.
        """
        if not lines:
            return ProcessedLines([], [])
        text = "\n".join(lines) + "\n"
        if self.tokenizer != TOKENIZED:
            try:
                text = tokenize_text(self.tokenizer, text).text
            except ImportError as error:
                raise MassError(f"the text of this model is tokenized by {self.tokenizer}, which cannot be imported "
                                f"({error}); install it: pip install {self.tokenizer}") from error
        if self.lower_case:
            text = _WORD.sub(lambda match: match[0] if match[0] in _KEPT else match[0].lower(), text)
        if self.digits_to_hash:
            text = _DIGIT.sub("#", text)
        encoded = self._encoding.encode_text(text) if self.codes else text
        return ProcessedLines(text.split("\n")[:-1], encoded.split("\n")[:-1])

    def to_text(self, symbols: Sequence[str]) -> str:
        """The text of subwords as people write it; of text that came tokenized, the words with spaces between them."""
        words = join_subwords(symbols).split()
        if self.tokenizer == TOKENIZED:
            return " ".join(words)
        return detokenize(self.tokenizer, words, hashes_are_digits=self.digits_to_hash)

    def check(self) -> None:
        """Raise a MassError if the codes are missing or damaged."""
        if self.codes:
            require_file(self.codes, "BPE codes")
            _ = self._encoding

    @property
    def note(self) -> str:
        """What a user should know of how BPE runs, '' if there is nothing."""
        return self._encoding.note if self.codes else ""

    def require_codes(self, vocabulary: Dictionary, where: str) -> None:
        """Raise a UsageError if the vocabulary is of subwords, but there are no codes; `where` is what to set."""
        if not self.codes and any(token.endswith("@@") for token in vocabulary.tokens):
            raise UsageError(f"the vocabulary holds subwords, but no BPE codes are named that make them: set {where}")

    def save(self, folder: str) -> None:
        """Write text.json and a copy of the codes into a folder, which can then be moved.

        Raises:
            MassError: the codes do not exist.
        """
        content = {"format": _FORMAT, "version": _VERSION, "tokenizer": self.tokenizer, "lower_case": self.lower_case,
                   "digits_to_hash": self.digits_to_hash, "codes": None}
        if self.codes:
            digest = _sha256(require_file(self.codes, "BPE codes"))
            name = f"codes-{digest[:12]}.bpe"
            if not os.path.exists(os.path.join(folder, name)):
                copy_atomically(self.codes, os.path.join(folder, name))
            content["codes"] = {"file": name, "sha256": digest}
        path = os.path.join(folder, TEXT_FILE)
        with atomic_output(path) as temporary, open(temporary, "w", encoding="utf-8") as stream:
            json.dump(content, stream, indent=2)
            stream.write("\n")

    @classmethod
    def load(cls, folder: str) -> "TextProcessing | None":
        """What `save` has written into a folder; None if there is nothing.

        Raises:
            MassError: it is damaged, of another version, or the codes are missing or others.
        """
        path = os.path.join(folder, TEXT_FILE)
        if not os.path.isfile(path):
            return None
        try:
            with open(path, encoding="utf-8") as stream:
                content = json.load(stream)
            if (content["format"], content["version"]) != (_FORMAT, _VERSION):
                raise ValueError(f"format {content['format']!r}, version {content['version']!r}")
            if content["tokenizer"] not in TEXT_TOKENIZERS:
                raise ValueError(f"tokenizer {content['tokenizer']!r}")
            flags = content["lower_case"], content["digits_to_hash"]
            if set(map(type, flags)) != {bool}:
                raise ValueError("its switches are not true or false")
            codes = content["codes"] and os.path.join(folder, content["codes"]["file"])
            digest = content["codes"] and content["codes"]["sha256"]
        except (ValueError, KeyError, TypeError) as error:
            raise MassError(f"{path}: not a description of a model's text ({type(error).__name__}: {error}); remove it "
                            f"and name --tokenizer and --codes") from error
        if codes and _sha256(require_file(codes, "BPE codes")) != digest:
            raise MassError(f"{codes}: these are not the BPE codes that {path} describes: put those back")
        return cls(content["tokenizer"], *flags, codes or "")

    @cached_property
    def _encoding(self) -> BytePairEncoding:
        return BytePairEncoding(self.codes)

    def __str__(self) -> str:
        parts = ["already tokenized" if self.tokenizer == TOKENIZED else f"tokenized by {self.tokenizer}"]
        parts += ["lower case"] * self.lower_case + ["digits as #"] * self.digits_to_hash
        return ", ".join([*parts, f"BPE by {self.codes}" if self.codes else "no BPE"])


def _sha256(path: str) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
