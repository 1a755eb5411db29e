"""Learning BPE codes with subword-nmt from the word frequencies of a folder of tokenized text."""
import os
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import NamedTuple

from src.common.arguments import RunOptions
from src.common.checksum_files import ENDING as CHECKSUM_ENDING
from src.common.checksum_files import output_with_checksum
from src.common.errors import MassError
from src.common.files import list_files
from src.common.finished_outputs import FinishedOutputs
from src.common.folder_lock import locked_folder
from src.common.output_checks import require_different_files
from src.common.parallel import map_in_order
from src.common.progress import Progress
from src.common.text_files import FilePart, batches_of_parts, file_parts
from src.utils.bpe.encoders import subword_nmt_version
from src.utils.dictionary import Dictionary

_FORMAT = 1  # increase this when the same text yields different codes
_BATCH_BYTES = 1 << 22  # several parts, as adding up word counts is faster for larger texts


class LearnedCodes(NamedTuple):
    """The size of a file of BPE codes and of the text it was learned from."""

    merges: int
    words: int  # distinct words of the text
    skipped: bool  # whether the file of an earlier run is up to date


def learn_codes(folder: str, output: str, symbols: int, options: RunOptions) -> LearnedCodes:
    """Learn up to `symbols` merges from the `*.txt` files of a folder and write them to the file `output`, and
    their checksum beside it.

    An existing file is replaced only after learning has succeeded. The same text always yields the same codes.

    Raises:
        UsageError: `output` is one of the texts, or a device.
        MassError: the text is missing or invalid, no pair of symbols occurs twice in it, `output` cannot be written,
            or subword-nmt is not installed.
    """
    _require_file_path(output)
    settings = {"step": "learn BPE", "format": _FORMAT, "symbols": symbols, "errors": options.errors,
                "subword-nmt": subword_nmt_version()}
    paths = list_files(folder, "*.txt", "source folder")
    checksum = output + CHECKSUM_ENDING
    require_different_files([("a source text", path) for path in paths],
                            [("--output", output), ("the checksum of --output", checksum)])
    finished = FinishedOutputs(os.path.dirname(output) or ".", options.overwrite)
    task = finished.task(os.path.basename(output), paths, settings)
    if task.summary is not None:
        return LearnedCodes(task.summary["merges"], task.summary["words"], skipped=True)
    with locked_folder(finished.folder):
        words = read_word_frequencies(folder, options)
        lines = [f"{word} {count}" for word, count in zip(words.tokens, words.frequencies, strict=True) if count]
        del words
        merges = _learn(lines, output, symbols, folder, options.quiet)
        task.finish([output, checksum], {"merges": merges, "words": len(lines)})
    return LearnedCodes(merges, len(lines), skipped=False)


def _require_file_path(output: str) -> None:
    folder = os.path.dirname(output) or "."
    if os.path.isdir(output):
        raise MassError(f"--output {output!r} is a folder")
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise MassError(f"output folder {folder!r} cannot be created: it is a file")


def _learn(lines: Sequence[str], output: str, symbols: int, folder: str, quiet: bool) -> int:
    """Learn from `word frequency` lines, write the codes, and return the number of merges."""
    from subword_nmt import learn_bpe as library
    from tqdm import tqdm

    library.tqdm = partial(tqdm, disable=quiet or None)  # None: no progress bar unless stderr is a terminal
    with output_with_checksum(output) as temporary:
        with open(temporary, "w", encoding="utf-8", newline="\n") as stream:
            library.learn_bpe(lines, stream, symbols, is_dict=True)
        with open(temporary, "rb") as stream:
            merges = sum(1 for _ in stream) - 1  # the first line is the version
        if not merges:
            raise MassError(f"no pair of letters occurs twice in {folder!r}: there is nothing to learn")
    return merges


def read_word_frequencies(folder: str, options: RunOptions) -> Dictionary:
    """Count the words of the `*.txt` files of a folder, without special tokens and spellings of the unknown token.

    Raises:
        MassError: the folder or its text is missing, a file is not UTF-8, or no word has two letters or more.
    """
    paths = list_files(folder, "*.txt", "source folder")
    batches = batches_of_parts((part for path in paths for part in file_parts(path)), _BATCH_BYTES)
    counts: Counter[str] = Counter()
    damaged = 0
    with (
        closing(map_in_order(partial(_count_parts, options.errors), batches, options.processes)) as results,
        Progress("count words", sum(map(os.path.getsize, paths)), "B", options.quiet) as progress,
    ):
        for counted in results:
            counts.update(counted.words)
            damaged += counted.damaged
            progress.update(counted.size)
    if damaged:
        print(f"{damaged:,} lines of {folder} hold bytes that are not UTF-8 (read as U+FFFD)", file=sys.stderr)
    words = Dictionary.from_counts(counts)
    if not any(len(word) > 1 for word in counts if word in words):
        raise MassError(f"the *.txt files of {folder!r} hold no word of two letters or more to learn from")
    return words


class _Counted(NamedTuple):
    words: Counter[str]
    damaged: int  # lines with undecodable bytes
    size: int  # in bytes


def _count_parts(errors: str, parts: Sequence[FilePart]) -> _Counted:
    words: Counter[str] = Counter()
    damaged = 0
    for part in parts:
        decoded = part.decode(errors)
        words.update(decoded.text.split())
        damaged += decoded.damaged
    return _Counted(words, damaged, sum(part.size for part in parts))
