"""What vocabulary.py does with vocabulary files: make, describe, compare and save them."""
import os
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from src.common.errors import MassError
from src.common.files import list_files
from src.utils.dictionary import SPECIAL_TOKENS, Dictionary


def build(sources: Sequence[str], threshold: int | None = None) -> Dictionary:
    """The vocabulary of `word frequency` files; a folder stands for its `*.dict` files. Frequencies are added.

    With `threshold`, words of that frequency or less are dropped, as in `Dictionary.shrink`.

    Raises:
        MassError: a file is missing or bad, or there is no word.
    """
    paths = [path for source in sources
             for path in (list_files(source, "*.dict", "folder") if os.path.isdir(source) else [source])]
    if len(set(map(os.path.realpath, paths))) < len(paths):
        raise MassError(f"a file is given twice, so its words would count twice: {', '.join(sorted(paths))}")
    vocabulary = Dictionary.load_from_text(paths)
    if len(vocabulary) == len(SPECIAL_TOKENS):
        raise MassError(f"no word in {', '.join(paths)}")
    return vocabulary if threshold is None else vocabulary.shrink(threshold)


def merge(paths: Sequence[str]) -> Dictionary:
    """The vocabulary of all words of several vocabularies, frequencies added, with new ids."""
    first, *others = map(Dictionary.load_from_persisted_dict, paths)
    for other in others:
        first = first.merge_dict(other)
    return first


def save(vocabulary: Dictionary, path: str, overwrite: bool) -> str:
    """Write a vocabulary, and say in a line what was done; an equal one that is there already is left as it is.

    Raises:
        MassError: another file is at `path`, and `overwrite` is False.
    """
    if os.path.exists(path) and not overwrite:
        try:
            earlier = Dictionary.load_from_persisted_dict(path)
        except MassError as error:
            raise MassError(f"--output {path!r} exists and is no vocabulary: it is left as it is ({error})") from error
        if (earlier.tokens, earlier.frequencies) != (vocabulary.tokens, vocabulary.frequencies):
            raise MassError(
                f"--output {path!r} exists and is another vocabulary ({earlier.describe_difference(vocabulary)}), "
                f"which records and checkpoints may need. Give another name, or --overwrite to replace it"
            )
        return f"{path}: unchanged, {len(vocabulary):,} tokens, fingerprint {vocabulary.fingerprint}"
    vocabulary.persistence(path)
    return f"{path}: {len(vocabulary):,} tokens, fingerprint {vocabulary.fingerprint}"


def export(vocabulary: Dictionary, path: str, overwrite: bool) -> str:
    """Write a vocabulary as `word frequency` lines, and say so in a line.

    Raises:
        MassError: a file is at `path`, and `overwrite` is False.
    """
    if os.path.exists(path) and not overwrite:
        raise MassError(f"--output {path!r} exists; give another name, or --overwrite to replace it")
    vocabulary.export(path)
    return f"{path}: {len(vocabulary) - len(SPECIAL_TOKENS):,} words with their frequencies"


def describe_change(before: Dictionary, after: Dictionary) -> str:
    """How much smaller a shrunk vocabulary is, in words and in the share of the text that it still knows."""
    known, total = sum(after.frequencies), sum(before.frequencies)
    share = 100 * known / total if total else 100.0
    return (f"{len(before) - len(after):,} of {len(before):,} tokens dropped; the other ones are {share:.3f}% of the "
            f"{total:,} tokens counted")


def describe(path: str, vocabulary: Dictionary, count: int) -> str:
    """A vocabulary in a few lines: size, fingerprint, special tokens, its `count` most and least frequent words."""
    start = len(SPECIAL_TOKENS)
    words = list(zip(vocabulary.tokens[start:], vocabulary.frequencies[start:], strict=True))
    sorted_ids = all(first >= second for (_, first), (_, second) in pairwise(words))
    order = "descending" if sorted_ids else "not descending, so ids do not follow frequency"
    lines = [
        f"vocabulary      {path}",
        f"size            {len(vocabulary):,} tokens: {start} special tokens and {len(words):,} others",
        f"fingerprint     {vocabulary.fingerprint}",
        f"special         {'  '.join(f'{index} {token}' for index, token in enumerate(SPECIAL_TOKENS))}",
        f"frequencies     {sum(vocabulary.frequencies):,} in all, {order}",
    ]
    by_frequency = sorted(words, key=lambda pair: -pair[1])
    for title, shown in (("most frequent", by_frequency[:count]), ("least frequent", by_frequency[-count:])):
        if count and shown:
            lines.append(f"{title:16}{'  '.join(f'{word} {frequency:,}' for word, frequency in shown)}")
    return "\n".join(lines)


class Comparison(NamedTuple):
    """Two vocabularies side by side."""

    same_tokens: bool
    text: str


def compare(first_path: str, second_path: str) -> Comparison:
    """Whether two vocabularies have the same tokens in the same order, and if not, how far they differ."""
    first, second = map(Dictionary.load_from_persisted_dict, (first_path, second_path))
    same = first.tokens == second.tokens
    lines = [f"first   {first_path}: {len(first):,} tokens, fingerprint {first.fingerprint}",
             f"second  {second_path}: {len(second):,} tokens, fingerprint {second.fingerprint}"]
    if same:
        note = "" if first.frequencies == second.frequencies else "; their frequencies differ, which records do not see"
        lines.append(f"the same tokens with the same ids{note}")
        return Comparison(same, "\n".join(lines))
    moved = sum(mine != theirs for mine, theirs in zip(first.tokens, second.tokens, strict=False))
    lines.append(f"different: {first.describe_difference(second)}; {moved:,} ids stand for two different tokens")
    for name, mine, theirs in (("first", first, second), ("second", second, first)):
        alone = [token for token in mine.tokens if token not in theirs]
        examples = f": {'  '.join(alone[:10])}{' ...' if len(alone) > 10 else ''}" if alone else ""
        lines.append(f"only in the {name}: {len(alone):,}{examples}")
    return Comparison(same, "\n".join(lines))
