"""The operations of vocabulary.py on vocabulary files: build, merge, describe, compare and save them."""
import os
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from src.common.errors import MassError
from src.common.files import list_files
from src.common.output_checks import find_repeated_file
from src.utils.dictionary import SPECIAL_TOKENS, Dictionary


def build(sources: Sequence[str], threshold: int | None = None) -> Dictionary:
    """Build the vocabulary of files with `word frequency` lines; frequencies of the same word are added.

    Args:
        sources: files, or folders whose `*.dict` files are read.
        threshold: drop words of this frequency or less, as `Dictionary.shrink` does.

    Raises:
        MassError: a file is missing, invalid or given twice, or there is no word.
    """
    paths = files_of_frequencies(sources)
    if repeated := find_repeated_file(paths):
        raise MassError(f"a file is given twice, so that its words would be counted twice: {', '.join(repeated)}")
    vocabulary = Dictionary.load_from_text(paths)
    if len(vocabulary) == len(SPECIAL_TOKENS):
        raise MassError(f"there is no word in {', '.join(paths)}")
    return vocabulary if threshold is None else vocabulary.shrink(threshold)


def files_of_frequencies(sources: Sequence[str]) -> list[str]:
    """Return the files that `build` reads: the sources, or the `*.dict` files of those that are folders."""
    return [path for source in sources
            for path in (list_files(source, "*.dict", "folder") if os.path.isdir(source) else [source])]


def merge(paths: Sequence[str]) -> Dictionary:
    """Merge vocabularies: frequencies are added, and the ids are new."""
    first, *others = map(Dictionary.load_from_persisted_dict, paths)
    for other in others:
        first = first.merge_dict(other)
    return first


def vocabulary_to_replace(path: str, what: str) -> Dictionary | None:
    """Return the vocabulary at `path`, which is going to be replaced, or None if there is no file.

    Raises:
        MassError: the file is not a vocabulary; `what` names the role of the path in the message.
    """
    if not os.path.exists(path):
        return None
    try:
        return Dictionary.load_from_persisted_dict(path)
    except MassError as error:
        raise MassError(f"{what} {path!r} is not a vocabulary, so it is not overwritten ({error})") from error


def describe_replacement(earlier: Dictionary | None, new: Dictionary) -> list[str]:
    """Return a line for the user if a different vocabulary was replaced, else none."""
    if earlier is None or earlier.fingerprint == new.fingerprint:
        return []
    return ["  it replaces a different vocabulary: records and checkpoints made with that one cannot be used with it"]


def save(vocabulary: Dictionary, path: str, overwrite: bool) -> str:
    """Write a vocabulary to `path`, unless the file holds the same vocabulary already; return a line for the user.

    Raises:
        MassError: there is a different file at `path` and `overwrite` is False.
    """
    if os.path.exists(path) and not overwrite:
        try:
            earlier = Dictionary.load_from_persisted_dict(path)
        except MassError as error:
            raise MassError(f"--output {path!r} exists and is not a vocabulary; it is kept ({error})") from error
        if (earlier.tokens, earlier.frequencies) != (vocabulary.tokens, vocabulary.frequencies):
            raise MassError(
                f"--output {path!r} exists and is a different vocabulary ({earlier.describe_difference(vocabulary)}), "
                f"which records and checkpoints may need. Choose another file name, or replace it with --overwrite"
            )
        return f"{path}: unchanged, {len(vocabulary):,} tokens, fingerprint {vocabulary.fingerprint}"
    vocabulary.persistence(path)
    return f"{path}: {len(vocabulary):,} tokens, fingerprint {vocabulary.fingerprint}"


def export(vocabulary: Dictionary, path: str, overwrite: bool) -> str:
    """Write a vocabulary as `word frequency` lines; return a line for the user.

    Raises:
        MassError: there is a file at `path` and `overwrite` is False.
    """
    if os.path.exists(path) and not overwrite:
        raise MassError(f"--output {path!r} exists; choose another file name, or replace it with --overwrite")
    vocabulary.export(path)
    return f"{path}: {len(vocabulary) - len(SPECIAL_TOKENS):,} words with their frequencies"


def describe_change(before: Dictionary, after: Dictionary) -> str:
    """Describe the effect of shrinking: the dropped tokens, and the share of the text that is still covered."""
    known, total = sum(after.frequencies), sum(before.frequencies)
    share = 100 * known / total if total else 100.0
    return (f"{len(before) - len(after):,} of {len(before):,} tokens of the vocabulary were dropped; the others cover "
            f"{share:.3f}% of the {total:,} tokens counted")


def describe(path: str, vocabulary: Dictionary, count: int) -> str:
    """Describe a vocabulary: size, fingerprint, special tokens, and its `count` most and least frequent tokens."""
    start = len(SPECIAL_TOKENS)
    others = list(zip(vocabulary.tokens[start:], vocabulary.frequencies[start:], strict=True))
    sorted_ids = all(first >= second for (_, first), (_, second) in pairwise(others))
    order = "descending" if sorted_ids else "not descending: ids are not in the order of frequencies"
    lines = [
        f"vocabulary      {path}",
        f"size            {len(vocabulary):,} tokens: {start} special tokens and {len(others):,} others",
        f"fingerprint     {vocabulary.fingerprint}",
        f"special         {'  '.join(f'{index} {token}' for index, token in enumerate(SPECIAL_TOKENS))}",
        f"frequencies     {sum(vocabulary.frequencies):,} in total, {order}",
    ]
    by_frequency = sorted(others, key=lambda pair: -pair[1])
    for title, shown in (("most frequent", by_frequency[:count]), ("least frequent", by_frequency[-count:])):
        if count and shown:
            lines.append(f"{title:16}{'  '.join(f'{token} {frequency:,}' for token, frequency in shown)}")
    return "\n".join(lines)


class Comparison(NamedTuple):
    """The result of comparing two vocabularies."""

    same_tokens: bool  # with the same ids
    text: str  # for the user


def compare(first_path: str, second_path: str) -> Comparison:
    """Compare the tokens of two vocabulary files and their ids, and describe the differences."""
    first, second = map(Dictionary.load_from_persisted_dict, (first_path, second_path))
    same = first.tokens == second.tokens
    lines = [f"first   {first_path}: {len(first):,} tokens, fingerprint {first.fingerprint}",
             f"second  {second_path}: {len(second):,} tokens, fingerprint {second.fingerprint}"]
    if same:
        note = "" if first.frequencies == second.frequencies else "; their frequencies differ, which records ignore"
        lines.append(f"the same tokens with the same ids{note}")
        return Comparison(same, "\n".join(lines))
    moved = sum(mine != theirs for mine, theirs in zip(first.tokens, second.tokens, strict=False))
    lines.append(f"different: {first.describe_difference(second)}; {moved:,} ids have different tokens")
    for name, mine, theirs in (("first", first, second), ("second", second, first)):
        alone = [token for token in mine.tokens if token not in theirs]
        examples = f": {'  '.join(alone[:10])}{' ...' if len(alone) > 10 else ''}" if alone else ""
        lines.append(f"only in the {name}: {len(alone):,}{examples}")
    return Comparison(same, "\n".join(lines))
