"""Encoding a folder of tokenized text with BPE, and the vocabulary of the result."""
import glob
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial

from src.common.arguments import RunOptions
from src.common.errors import MassError, UsageError
from src.common.files import list_files, make_output_folder, require_file
from src.common.finished_outputs import file_digest
from src.common.progress import say
from src.text.conversion import Conversion, ConvertedText, FileSummary, convert_files
from src.utils.byte_pair_encoding import BytePairEncoding
from src.utils.dictionary import Dictionary

_FORMAT = 1  # to be raised when the same codes and text give another output


def encode_corpus(
    codes: str, folder: str, output_folder: str, prefix: str, options: RunOptions
) -> Iterator[FileSummary]:
    """Encode the files `<prefix>*.txt` of a folder into `<name>_bpe.txt` and count into `<name>.dict`.

    The summary of a file is yielded when both are complete; its `counts` are the subword frequencies. If no compiled
    code encodes, a line on stderr says why.

    Raises:
        UsageError: the output folder is the source folder.
        MassError: the codes or a file are missing or bad, or the output cannot be written.
    """
    # Bad codes are found here, and workers begin with good ones and the compiled encoder.
    if note := _load_encoding(require_file(codes, "BPE codes")).note:
        say(note, sys.stderr)
    sources = list_files(folder, f"{glob.escape(prefix)}*.txt", "source folder")
    settings = {"step": "apply BPE", "format": _FORMAT, "codes": file_digest(codes)}
    conversion = Conversion("encode", partial(encode_text, codes), settings, "_bpe.txt",
                            take_counts=partial(take_counts, codes), keep_line_ends=True)
    return convert_files(sources, output_folder, conversion, options)


def encode_text(codes: str, text: str) -> ConvertedText:
    """Encode whole lines with the codes of that file; their tokens are counted by `take_counts`."""
    return ConvertedText(_load_encoding(codes).encode_text(text))


def take_counts(codes: str) -> Counter[str]:
    """The subwords of what this process has encoded since the last call."""
    return _load_encoding(codes).take_counts()


@lru_cache(maxsize=1)
def _load_encoding(codes: str) -> BytePairEncoding:
    """Once in each process, so that words stay cached from one part of a file to the next."""
    return BytePairEncoding(codes)


def check_vocabulary_options(path: str | None, threshold: int | None) -> Dictionary | None:
    """The vocabulary that `build_vocabulary` would replace at `path`, or None if there is none.

    Raises:
        UsageError: a threshold that is negative or has no vocabulary to apply to.
        MassError: `path` is something other than a vocabulary, or cannot be written.
    """
    if threshold is not None and (threshold < 0 or not path):
        wish = "give --vocab_path too" if not path else "give 0 or more"
        raise UsageError(f"--threshold {threshold}: {wish}")
    if not path:
        return None
    make_output_folder(os.path.dirname(path) or ".")
    if not os.path.exists(path):
        return None
    try:
        return Dictionary.load_from_persisted_dict(path)
    except MassError as error:
        raise MassError(f"--vocab_path {path!r} is no vocabulary, so it is not overwritten ({error})") from error


@dataclass(frozen=True)
class VocabularySummary:
    """A vocabulary and how well it covers the text whose counts it was built from."""

    path: str
    vocabulary: Dictionary
    words: int  # distinct words counted, before shrinking
    tokens: int
    unknown: int  # tokens that the vocabulary turns into <unk>
    already_unknown: int  # those of them which the text itself spells as unknown

    def __str__(self) -> str:
        coverage = 100 * (1 - self.unknown / self.tokens)
        return (
            f"vocabulary {self.path}: {len(self.vocabulary):,} symbols, from {self.words:,} distinct words\n"
            f"  coverage {coverage:.3f}% of {self.tokens:,} tokens; {self.unknown:,} would be <unk> "
            f"({self.already_unknown:,} of them are in the text already)\n"
            f"  fingerprint {self.vocabulary.fingerprint}"
        )


def build_vocabulary(counts: Counter[str], threshold: int | None, path: str) -> VocabularySummary:
    """Write the vocabulary of counted words to `path`, without those of frequency <= `threshold` if it is given.

    Raises MassError if there is none.
    """
    everything = Dictionary.from_counts(counts)
    words = len(everything) - len(Dictionary())
    if not words:
        raise MassError(f"no word to build the vocabulary {path!r} from: the text is empty")
    vocabulary = everything if threshold is None else everything.shrink(threshold)
    vocabulary.persistence(path)
    unknown, already_unknown = _count_unknown(counts, vocabulary), _count_unknown(counts, everything)
    return VocabularySummary(path, vocabulary, words, counts.total(), unknown, already_unknown)


def _count_unknown(counts: Counter[str], vocabulary: Dictionary) -> int:
    return sum(count for word, count in counts.items() if vocabulary.text_index[word] == vocabulary.unk_index)
