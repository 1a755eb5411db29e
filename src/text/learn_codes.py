"""Learning BPE codes with subword-nmt, from the word frequencies of a folder of tokenized text.

    python -m src.text.learn_codes FOLDER OUTPUT --symbols 46000

is what scripts/learn_subword.sh runs.
"""
import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from typing import NamedTuple

from src.common.arguments import RunOptions, add_run_flags, run_options
from src.common.errors import MassError, UsageError, run
from src.common.files import atomic_output, list_files
from src.common.finished_outputs import FinishedOutputs
from src.common.parallel import available_cores, map_in_order
from src.common.progress import Progress
from src.common.text_files import FilePart, batches_of_parts, file_parts
from src.utils.dictionary import Dictionary

_FORMAT = 1  # to be raised when the same text gives other codes
_BATCH_BYTES = 1 << 22  # more than one part, as the words of a larger text take less time to add up


class LearntCodes(NamedTuple):
    """What a codes file holds, and from how many distinct words it was learnt."""

    merges: int
    words: int
    skipped: bool  # an earlier run has made it


def learn_codes(folder: str, output: str, symbols: int, options: RunOptions) -> LearntCodes:
    """Learn `symbols` merges, or as many as there are, from `*.txt` in a folder. The same text gives the same codes.

    An earlier file `output` is replaced when all has gone well, and not before.

    Raises:
        UsageError: the number of symbols is below 1.
        MassError: the text is missing or bad, or nothing in it repeats.
    """
    if symbols < 1:
        raise UsageError(f"--symbols {symbols}: give 1 or more")
    if os.path.isdir(output):
        raise MassError(f"--output {output!r} is a folder")
    settings = {"step": "learn BPE", "format": _FORMAT, "symbols": symbols, "errors": options.errors,
                "subword-nmt": version("subword-nmt")}
    paths = list_files(folder, "*.txt", "source folder")
    finished = FinishedOutputs(os.path.dirname(output) or ".", options.overwrite)
    task = finished.task(os.path.basename(output), paths, settings)
    if task.summary is not None:
        return LearntCodes(task.summary["merges"], task.summary["words"], skipped=True)
    words = count_words(folder, options)
    lines = [f"{word} {count}" for word, count in zip(words.tokens, words.frequencies, strict=True) if count]
    del words
    merges = _learn(lines, output, symbols, folder)
    task.finish([output], {"merges": merges, "words": len(lines)})
    return LearntCodes(merges, len(lines), skipped=False)


def _learn(lines: Sequence[str], output: str, symbols: int, folder: str) -> int:
    """Learn from `word frequency` lines; returns the number of merges."""
    from subword_nmt.learn_bpe import learn_bpe

    with atomic_output(output) as temporary:
        with open(temporary, "w", encoding="utf-8", newline="\n") as stream:
            learn_bpe(lines, stream, symbols, is_dict=True)
        with open(temporary, "rb") as stream:
            merges = sum(1 for _ in stream) - 1  # the first line is the version
        if not merges:
            raise MassError(f"no pair of letters occurs twice in {folder!r}: nothing to learn")
    return merges


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
    parser = argparse.ArgumentParser(description="Learn BPE codes from FOLDER/*.txt.")
    parser.add_argument("folder")
    parser.add_argument("output")
    parser.add_argument("--symbols", type=int, default=46000)
    add_run_flags(parser, processes=available_cores())
    arguments = parser.parse_args()
    codes = learn_codes(arguments.folder, arguments.output, arguments.symbols, run_options(arguments))
    print(f"{arguments.output}: {codes.merges} merges learnt from {codes.words} distinct words"
          + (", unchanged and skipped" if codes.skipped else ""))


if __name__ == "__main__":
    run(main)
