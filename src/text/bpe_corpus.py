"""Applying BPE codes to a folder of tokenized text, and building the vocabulary of the result."""
import glob
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial

from src.common.arguments import RunOptions
from src.common.errors import MassError, UsageError
from src.common.files import file_digest, list_files, make_output_folder, require_file
from src.common.progress import say
from src.text.conversion import Conversion, ConvertedText, FileSummary, convert_files
from src.utils.byte_pair_encoding import BytePairEncoding
from src.utils.dictionary import Dictionary
from src.utils.vocabulary_tools import vocabulary_to_replace

_FORMAT = 1  # increase this when the same codes and text yield a different output


def encode_corpus(
    codes: str, folder: str, output_folder: str, prefix: str, options: RunOptions, vocabulary_path: str | None = None
) -> Iterator[FileSummary]:
    """Encode the files `<prefix>*.txt` of a folder into `<name>_bpe.txt`, and write their counts to `<name>.dict`.

    The summary of a file, with the frequencies of its subwords in `counts`, is yielded when both of its outputs are
    complete. If the C encoder cannot be used, a line on stderr gives the reason.

    Args:
        vocabulary_path: the vocabulary that is written afterwards, which must be none of these files.

    Raises:
        UsageError: the output folder is the source folder, or an output would replace an input or another output.
        MassError: the codes or a file are missing or invalid, or the output cannot be written.
    """
    # This checks the codes, and compiles the encoder, before the workers start.
    if note := _load_encoding(require_file(codes, "BPE codes")).note:
        say(note, sys.stderr)
    sources = list_files(folder, f"{glob.escape(prefix)}*.txt", "source folder")
    settings = {"step": "apply BPE", "format": _FORMAT, "codes": file_digest(codes)}
    conversion = Conversion("encode", partial(encode_text, codes), settings, "_bpe.txt",
                            take_counts=partial(take_counts, codes), keep_line_ends=True)
    return convert_files(sources, output_folder, conversion, options, [("--codes", codes)],
                         [("--vocab_path", vocabulary_path)])


def encode_text(codes: str, text: str) -> ConvertedText:
    """Encode whole lines with the codes in the file `codes`; `take_counts` returns the counts of the subwords."""
    return ConvertedText(_load_encoding(codes).encode_text(text))


def take_counts(codes: str) -> Counter[str]:
    """Return the frequencies of the subwords that this process has encoded since the last call."""
    return _load_encoding(codes).take_counts()


@lru_cache(maxsize=1)
def _load_encoding(codes: str) -> BytePairEncoding:
    """Load the encoder once per process, so that its cache of words is kept from one part of a file to the next."""
    return BytePairEncoding(codes)


def check_vocabulary_options(path: str | None, threshold: int | None) -> Dictionary | None:
    """Return the existing vocabulary at `path`, which `build_vocabulary` would replace, or None if there is none.

    Raises:
        UsageError: the threshold is negative, or given without a path.
        MassError: the file at `path` is not a vocabulary, or the folder cannot be written to.
    """
    if threshold is not None and (threshold < 0 or not path):
        advice = "give --vocab_path too" if not path else "give 0 or more"
        raise UsageError(f"--threshold {threshold}: {advice}")
    if not path:
        return None
    make_output_folder(os.path.dirname(path) or ".")
    return vocabulary_to_replace(path, "--vocab_path")


@dataclass(frozen=True)
class VocabularySummary:
    """A vocabulary, and how well it covers the text that it was built from."""

    path: str
    vocabulary: Dictionary
    distinct: int  # number of distinct tokens of the text, before shrinking
    tokens: int  # number of tokens of the text
    unknown: int  # number of tokens that become <unk>
    already_unknown: int  # number of these tokens that are spelled as unknown in the text

    def __str__(self) -> str:
        coverage = 100 * (1 - self.unknown / self.tokens)
        return (
            f"vocabulary {self.path}: {len(self.vocabulary):,} tokens, from {self.distinct:,} distinct tokens\n"
            f"  coverage {coverage:.3f}% of {self.tokens:,} tokens; {self.unknown:,} become <unk> "
            f"({self.already_unknown:,} of them are <unk> in the text)\n"
            f"  fingerprint {self.vocabulary.fingerprint}"
        )


def build_vocabulary(counts: Counter[str], threshold: int | None, path: str) -> VocabularySummary:
    """Write the vocabulary of counted tokens to `path`, shrunk by `threshold` if that is given.

    Raises:
        MassError: there is no token.
    """
    everything = Dictionary.from_counts(counts)
    distinct = len(everything) - len(Dictionary())
    if not distinct:
        raise MassError(f"there is no token to build the vocabulary {path!r} from: the text is empty")
    vocabulary = everything if threshold is None else everything.shrink(threshold)
    vocabulary.persistence(path)
    unknown, already_unknown = _count_unknown(counts, vocabulary), _count_unknown(counts, everything)
    return VocabularySummary(path, vocabulary, distinct, counts.total(), unknown, already_unknown)


def _count_unknown(counts: Counter[str], vocabulary: Dictionary) -> int:
    return sum(count for token, count in counts.items() if vocabulary.text_index[token] == vocabulary.unk_index)
