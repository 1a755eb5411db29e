"""The common layout of the text of a recipe, and reading the files that users have.

A folder in the common layout holds

    pretrain/*.txt           sentences for pre-training, one per line
    pretrain_valid/*.txt     sentences for its validation
    pairs/<split>.src.txt    sources of the split train, valid or test
    pairs/<split>.tgt.txt    targets; line i belongs to line i of the sources
    tokenized/pretrain/*.txt, tokenized/pretrain_valid/*.txt
                             the same, of text that is tokenized already
"""
import gzip
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from typing import NamedTuple

from recipes.run_layout import PAIRS, PRETRAIN, PRETRAIN_VALID
from src.common.errors import MassError, UsageError
from src.common.files import atomic_output, list_files
from src.common.text_files import read_lines

SPLITS = ("train", "valid", "test")
SIDES = ("src", "tgt")
VALID_SHARE = 100  # of the sentences, one in so many is for validation
VALID_MOST = 2000  # sentences for validation
_TEXTS_OF_PAIRS = "texts_of_pairs.txt"
_ENDINGS = (".txt", ".txt.gz")


class TextFolders(NamedTuple):
    """The folders that a user names."""

    pairs: str | None = None  # of the pairs, or of a published corpus
    sentences: str | None = None  # of text for pre-training (*.txt)
    train_pairs: int | None = None  # use the first so many training pairs; None: all


def input_files(folders: TextFolders) -> list[str]:
    """Return the text files in the folders that a user names, all that a recipe may read."""
    found = []
    for folder in filter(None, (folders.pairs, folders.sentences)):
        with os.scandir(folder) as entries:
            found += sorted(entry.path for entry in entries if entry.name.endswith(_ENDINGS) and entry.is_file())
    return found


def require_sentences(folders: TextFolders) -> None:
    """Require that the folder of sentences, if there is one, holds text, and none of the files of the pairs.

    Otherwise, test text would be pre-trained on.

    Raises:
        MassError: the folder is missing or holds no *.txt.
        UsageError: a file is in both folders.
    """
    if folders.sentences is None:
        return
    sentences = list_files(folders.sentences, "*.txt", "folder of sentences")
    pairs = input_files(TextFolders(folders.pairs))
    for path in sentences:
        if other := next((other for other in pairs if os.path.samefile(path, other)), None):
            raise UsageError(f"--sentences {folders.sentences}: {path} is {other}, a file of the pairs, whose test "
                             f"text must not be pre-trained on; put the sentences into a folder of their own")


def find_file(folder: str, *names: str) -> str | None:
    """Return the path of the first of the files, or of its compressed form `<name>.gz`, that the folder holds."""
    candidates = (os.path.join(folder, f"{name}{ending}") for name in names for ending in ("", ".gz"))
    return next((path for path in candidates if os.path.isfile(path)), None)


def require_files(folder: str, names: Iterable[tuple[str, ...]], what: str, source: str) -> None:
    """Require one file of each group of names, compressed or not.

    Raises:
        MassError: the folder or a file is missing; the message names all that are, and where they are published.
    """
    if not os.path.isdir(folder):
        raise MassError(f"folder {folder!r} of {what} does not exist; {source}")
    missing = [" or ".join(group) for group in names if find_file(folder, *group) is None]
    if missing:
        raise MassError(f"folder {folder!r} lacks {', '.join(missing)} (or the same with .gz) of {what}; {source}")


def read_text(path: str) -> Iterator[str]:
    """Yield the lines of a UTF-8 text file, which may be compressed (.gz), without line ends.

    Raises:
        MassError: it cannot be read; the message names the file.
    """
    if not path.endswith(".gz"):
        yield from read_lines(path)
        return
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as stream:
            for line in stream:
                yield line.rstrip("\r\n")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise MassError(f"{path!r} is not compressed UTF-8 text: {error}") from error


def write_text(folder: str, name: str, lines: Iterable[str]) -> int:
    """Write a text file of the layout and return its number of lines."""
    written = 0
    with atomic_output(os.path.join(folder, name)) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        for line in lines:
            stream.write(f"{line}\n")
            written += 1
    return written


def write_pairs(folder: str, split: str, source: str, target: str, most: int | None = None) -> str:
    """Copy a split of pairs from two files; `most` limits it to its first pairs. Return a line about it.

    Raises:
        MassError: the files have different numbers of lines.
    """
    written, lines = [], []
    for path, copy in zip((source, target), paths_of_pairs("", split), strict=True):
        text = read_text(path)
        written.append(write_text(folder, copy, islice(text, most)))
        lines.append(written[-1] + sum(1 for _ in text))
    if lines[0] != lines[1]:
        raise MassError(f"{source!r} has {lines[0]:,} lines and {target!r} has {lines[1]:,}: line i of one must "
                        f"belong to line i of the other")
    return f"{split}: {written[0]:,} pairs of {source} and {target}"


def paths_of_pairs(folder: str, split: str, sides: Sequence[str] = SIDES) -> list[str]:
    """Return the paths of the files of a split in a folder in the common layout."""
    return [os.path.join(folder, PAIRS, f"{split}.{side}.txt") for side in sides]


def write_split_pairs(folder: str, source_folder: str, train_pairs: int | None) -> list[str]:
    """Copy the pairs of all splits from `<split>.src.txt` and `<split>.tgt.txt`; return lines about them."""
    return [write_pairs(folder, split, *(find_file(source_folder, f"{split}.{side}.txt") for side in SIDES),
                        train_pairs if split == "train" else None) for split in SPLITS]


def write_texts_of_pairs(folder: str, sides: Sequence[str] = SIDES, subfolder: str = "") -> list[str]:
    """Write the different texts of the pairs for pre-training and its validation; return lines about them.

    Args:
        sides: the sides of the pairs whose texts are used.
        subfolder: in which the folders pretrain/ and pretrain_valid/ are made.
    """
    report = []
    for part, split in ((PRETRAIN, "train"), (PRETRAIN_VALID, "valid")):
        texts = dict.fromkeys(line for path in paths_of_pairs(folder, split, sides) for line in read_text(path))
        written = write_text(folder, os.path.join(subfolder, part, _TEXTS_OF_PAIRS), texts)
        report.append(f"{part}: {written:,} different texts of the {split} pairs")
    return report


def write_sentences(folder: str, source_folder: str | None) -> list[str]:
    """Copy all *.txt of a folder, if one is given; return lines about them.

    One line in VALID_SHARE, counted over all files, goes into pretrain_valid/ instead of pretrain/, until VALID_MOST
    are there.

    Raises:
        MassError: there are too few lines, or a file has the name of one that the recipe makes.
    """
    if source_folder is None:
        return []
    report, numbers, held_out = [], count(1), 0

    def training_lines(path: str, valid: list[str]) -> Iterator[str]:
        for line in read_text(path):
            if next(numbers) % VALID_SHARE == 0 and held_out + len(valid) < VALID_MOST:
                valid.append(line)
            else:
                yield line

    for path in list_files(source_folder, "*.txt", "folder of sentences"):
        name, valid = os.path.basename(path), []
        if name == _TEXTS_OF_PAIRS:
            raise MassError(f"{path!r} has the name of a file that the recipe makes: give it another name")
        written = write_text(folder, os.path.join(PRETRAIN, name), training_lines(path, valid))
        if valid:
            write_text(folder, os.path.join(PRETRAIN_VALID, name), valid)
        held_out += len(valid)
        report.append(f"{path}: {written:,} lines for pre-training, {len(valid):,} for its validation")
    if not held_out:
        raise MassError(f"folder {source_folder!r} holds {next(numbers) - 1} lines: too few to pre-train on; give "
                        f"{VALID_SHARE} or more")
    return report
