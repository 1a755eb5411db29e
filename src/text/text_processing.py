"""The processing of raw text into subwords and back, which is stored beside the weights of a model."""
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from src.common.errors import MassError, UsageError
from src.common.files import copy_atomically, file_digest, require_file
from src.common.json_files import describe_error, read_json, take_checksum, write_json
from src.common.named_files import file_named
from src.text.detokenization import detokenize
from src.text.spelling import SPELLING_HELP, Spelling, names_of_flags, spelling_of
from src.text.tokenization import RULES, TOKENIZERS, tokenize_text
from src.utils.byte_pair_encoding import BytePairEncoding, join_subwords
from src.utils.dictionary import Dictionary

TEXT_FILE = "text.json"
"""The file in a folder of checkpoints that describes the processing of text."""
TOKENIZED = "none"
"""The name of the tokenizer for text whose words are already separated by spaces."""
TEXT_TOKENIZERS = (*TOKENIZERS, TOKENIZED)

_FORMAT, _VERSION = "mass-text", 1
_CODES_ENDING = ".bpe"


class ProcessedLines(NamedTuple):
    """Lines of text as words and as subwords, both separated by single spaces."""

    words: list[str]
    subwords: list[str]


@dataclass(frozen=True)
class TextProcessing(Spelling):
    """The steps from raw text to subwords: tokenization, the spelling of the corpus, BPE."""

    tokenizer: str  # one of TEXT_TOKENIZERS
    codes: str = ""  # path of the BPE codes; empty: words are not split
    rules: int = RULES  # of tokenization, see `tokenize_text`

    def encode(self, lines: Sequence[str]) -> ProcessedLines:
        """Return the words and the subwords of lines.

        Raises:
            ValueError: a line contains a line end.
            MassError: the tokenizer cannot be imported, or the codes are missing or damaged.
        """
        if not lines:
            return ProcessedLines([], [])
        text = "\n".join(lines) + "\n"
        if text.count("\n") != len(lines):
            raise ValueError("a line of text contains a line end: give one sentence for each prediction")
        if self.tokenizer != TOKENIZED:
            try:
                text = tokenize_text(self.tokenizer, text, self.rules).text
            except ImportError as error:
                raise MassError(f"the text of this model is tokenized by {self.tokenizer}, which cannot be imported "
                                f"({error}); install it with: pip install {self.tokenizer}") from error
        text = self.spell(text)
        encoded = self._encoding.encode_text(text) if self.codes else text
        return ProcessedLines(text.split("\n")[:-1], encoded.split("\n")[:-1])

    def to_text(self, subwords: Sequence[str]) -> str:
        """Join subwords and undo tokenization; without a tokenizer, return the words separated by spaces."""
        words = join_subwords(subwords).split()
        if self.tokenizer == TOKENIZED:
            return " ".join(words)
        return detokenize(self.tokenizer, self.restore_brackets(words), hashes_are_digits=self.digits_to_hash)

    def check(self) -> None:
        """Raise a MassError if the codes are missing or invalid."""
        if self.codes:
            require_file(self.codes, "BPE codes")
            _ = self._encoding

    @property
    def note(self) -> str:
        """A note for the user on how BPE is applied; may be empty."""
        return self._encoding.note if self.codes else ""

    def require_codes(self, vocabulary: Dictionary, where: str) -> None:
        """Raise a UsageError if the vocabulary holds subwords but there are no codes; `where` names what to set."""
        if not self.codes and any(token.endswith("@@") for token in vocabulary.tokens):
            raise UsageError(f"the vocabulary holds subwords, but the BPE codes are not given: set {where}")

    def save(self, folder: str) -> None:
        """Write text.json and a copy of the codes into a folder, so that the folder can be moved.

        Raises:
            MassError: the codes do not exist.
        """
        content = {"format": _FORMAT, "version": _VERSION, "tokenizer": self.tokenizer, **spelling_of(self),
                   "rules": self.rules, "codes": None}
        if self.codes:
            digest = file_digest(require_file(self.codes, "BPE codes"))
            name = f"codes-{digest[:12]}{_CODES_ENDING}"
            if not os.path.exists(os.path.join(folder, name)):
                copy_atomically(self.codes, os.path.join(folder, name))
            content["codes"] = {"file": name, "sha256": digest}
        path = os.path.join(folder, TEXT_FILE)
        write_json(path, content, checksum=True)

    def same_as(self, other: "TextProcessing") -> bool:
        """Return whether both process text alike; their codes may be different files of equal content."""
        digests = [file_digest(text.codes) if text.codes else "" for text in (self, other)]
        return replace(self, codes="") == replace(other, codes="") and digests[0] == digests[1]

    @classmethod
    def load(cls, folder: str) -> "TextProcessing | None":
        """Load what `save` has written into a folder; return None if there is no text.json.

        Raises:
            MassError: text.json is damaged or of another version, or the codes are missing or have changed.
        """
        path = os.path.join(folder, TEXT_FILE)
        if not os.path.lexists(path):
            return None
        try:
            content = read_json(path)
            if (content["format"], content["version"]) != (_FORMAT, _VERSION):
                raise ValueError(f"format {content['format']!r}, version {content['version']!r}")
            take_checksum(content, required="rules" in content)  # the first descriptions have neither
            rules = content.get("rules", 1)
            if type(rules) is not int or not 1 <= rules <= RULES:
                raise ValueError(f"rules {rules!r}; this program knows 1 to {RULES}")
            if content["tokenizer"] not in TEXT_TOKENIZERS:
                raise ValueError(f"tokenizer {content['tokenizer']!r}")
            content.setdefault("brackets_to_names", False)  # earlier descriptions do not have it
            spelling = {name: content[name] for name in SPELLING_HELP}
            if wrong := [name for name, value in spelling.items() if type(value) is not bool]:
                raise ValueError(f"{wrong[0]} must be true or false")
            codes = content["codes"] and file_named(content["codes"]["file"], path, "the BPE codes", _CODES_ENDING)
            digest = content["codes"] and content["codes"]["sha256"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MassError(f"{path}: not a description of the text of a model ({describe_error(error)}); remove it, "
                            f"and give --tokenizer, --codes, {names_of_flags()} instead") from error
        if codes and file_digest(require_file(codes, "BPE codes")) != digest:
            raise MassError(f"{codes}: these are not the BPE codes that {path} describes; restore the original file")
        return cls(content["tokenizer"], codes or "", rules, **spelling)

    @cached_property
    def _encoding(self) -> BytePairEncoding:
        return BytePairEncoding(self.codes)

    def __str__(self) -> str:
        parts = ["already tokenized" if self.tokenizer == TOKENIZED else f"tokenized by {self.tokenizer}"]
        return ", ".join([*parts, *self.participles(), f"BPE by {self.codes}" if self.codes else "no BPE"])
