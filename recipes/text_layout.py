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
from itertools import islice
from typing import NamedTuple

from src.common.errors import MassError
from src.common.files import atomic_output, list_files
from src.common.text_files import read_lines

SPLITS = ("train", "valid", "test")
SIDES = ("src", "tgt")
VALID_SHARE = 100  # of the sentences, one in so many is for validation
VALID_MOST = 2000  # sentences for validation


class TextFolders(NamedTuple):
    """The folders that a user names."""

    pairs: str | None = None  # of the pairs, or of a published corpus
    sentences: str | None = None  # of text for pre-training (*.txt)
    train_pairs: int | None = None  # use the first so many training pairs; None: all


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
    count = 0
    with atomic_output(os.path.join(folder, name)) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        for line in lines:
            stream.write(f"{line}\n")
            count += 1
    return count


def write_pairs(folder: str, split: str, source: str, target: str, most: int | None = None) -> str:
    """Copy a split of pairs from two files; `most` limits it to its first pairs. Return a line about it.

    Raises:
        MassError: the files have different numbers of lines.
    """
    counts = [write_text(folder, f"pairs/{split}.{side}.txt", islice(read_text(path), most))
              for side, path in zip(SIDES, (source, target), strict=True)]
    if counts[0] != counts[1]:
        raise MassError(f"{source!r} has {counts[0]:,} lines and {target!r} has {counts[1]:,}: line i of one must "
                        f"belong to line i of the other")
    return f"{split}: {counts[0]:,} pairs of {source} and {target}"


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
    for part, split in (("pretrain", "train"), ("pretrain_valid", "valid")):
        paths = [os.path.join(folder, "pairs", f"{split}.{side}.txt") for side in sides]
        texts = dict.fromkeys(line for path in paths for line in read_text(path))
        count = write_text(folder, os.path.join(subfolder, part, "texts_of_pairs.txt"), texts)
        report.append(f"{part}: {count:,} different texts of the {split} pairs")
    return report


def write_sentences(folder: str, source_folder: str) -> list[str]:
    """Copy all *.txt of a folder, one sentence in VALID_SHARE into pretrain_valid/; return lines about them.

    Raises:
        MassError: there are too few lines, or a file has the name of one that is there.
    """
    report, left = [], VALID_MOST
    for path in list_files(source_folder, "*.txt", "folder of sentences"):
        name = os.path.basename(path)
        if os.path.exists(os.path.join(folder, "pretrain", name)):
            raise MassError(f"{path!r} has the name of a file that the recipe makes: give it another name")
        held_out: list[str] = []

        def training_lines(path: str = path, held_out: list[str] = held_out, most: int = left) -> Iterator[str]:
            for number, line in enumerate(read_text(path)):
                if number % VALID_SHARE == VALID_SHARE - 1 and len(held_out) < most:
                    held_out.append(line)
                else:
                    yield line

        count = write_text(folder, f"pretrain/{name}", training_lines())
        if held_out:
            write_text(folder, f"pretrain_valid/{name}", held_out)
        left -= len(held_out)
        report.append(f"{path}: {count:,} lines for pre-training, {len(held_out):,} for its validation")
    if left == VALID_MOST:
        raise MassError(f"folder {source_folder!r} holds fewer than {VALID_SHARE} lines in every file: too few to "
                        f"pre-train on")
    return report
