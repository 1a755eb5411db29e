"""Word frequencies of a folder of text, from which scripts/learn_subword.sh learns BPE codes.

    python -m src.text.word_counts FOLDER OUTPUT

writes a `word frequency` line for each word of FOLDER/*.txt, which `subword-nmt learn-bpe --dict-input` reads.
"""
import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from src.utils.arguments import RunOptions, add_run_flags, run_options
from src.utils.dictionary import Dictionary
from src.utils.errors import MassError, run
from src.utils.files import list_files
from src.utils.parallel import available_cores, map_in_order
from src.utils.progress import Progress
from src.utils.text_files import FilePart, batches_of_parts, file_parts

_BATCH_BYTES = 1 << 22  # more than one part, as the words of a larger text take less time to add up


def count_words(folder: str, options: RunOptions) -> Dictionary:
    """The words of `*.txt` in a folder. Special symbols and spellings of the unknown word are not among them.

    Raises:
        MassError: the folder or its text is missing, a file is not UTF-8, or no word is long enough to be split.
    """
    paths = list_files(folder, "*.txt", "source folder")
    batches = batches_of_parts((part for path in paths for part in file_parts(path)), _BATCH_BYTES)
    counts: Counter[str] = Counter()
    damaged = 0
    with Progress("count words", sum(map(os.path.getsize, paths)), "B", options.quiet) as progress:
        for counted in map_in_order(partial(_count_parts, options.errors), batches, options.processes):
            counts.update(counted.words)
            damaged += counted.damaged
            progress.update(counted.size)
    if damaged:
        print(f"{damaged:,} lines of {folder} hold bytes that are not UTF-8 (counted as U+FFFD)", file=sys.stderr)
    words = Dictionary.from_counts(counts)
    if not any(len(word) > 1 for word in counts if word in words):
        raise MassError(f"the files *.txt of {folder!r} hold no word of two letters or more to learn from")
    return words


class _Counted(NamedTuple):
    words: Counter[str]
    damaged: int  # lines
    size: int  # bytes


def _count_parts(errors: str, parts: Sequence[FilePart]) -> _Counted:
    words: Counter[str] = Counter()
    damaged = 0
    for part in parts:
        decoded = part.decode(errors)
        words.update(decoded.text.split())
        damaged += decoded.damaged
    return _Counted(words, damaged, sum(part.size for part in parts))


def main() -> None:
    parser = argparse.ArgumentParser(description="Count the words of FOLDER/*.txt.")
    parser.add_argument("folder")
    parser.add_argument("output")
    add_run_flags(parser, processes=available_cores())
    arguments = parser.parse_args()
    count_words(arguments.folder, run_options(arguments)).export(arguments.output)


if __name__ == "__main__":
    run(main)
