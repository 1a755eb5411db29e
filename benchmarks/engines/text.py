"""Token ids for the engines to train on, from text files or, if there are none, drawn at random."""
import collections
import itertools
import os
from typing import NamedTuple

import numpy as np

from benchmarks.engines.workload import LONGEST
from src.common.errors import MassError
from src.common.files import list_files, require_file
from src.common.ragged import RaggedArray
from src.utils.dictionary import EOS_INDEX, SPECIAL_TOKENS, UNK_INDEX

EXAMPLES = 20_000  # drawn from the text; enough for batches like those of a large corpus


class Text(NamedTuple):
    """Examples as lists of words, and a description of them."""

    columns: dict[str, list[list[str]]]  # "tokens"; or "source" and "target"
    description: str


def read_sentences(folder: str, seed: int) -> Text:
    """Read the sentences of all *.txt files of a folder, one per line."""
    return _read({"tokens": list_files(folder, "*.txt", "text folder")}, f"sentences of {folder}", seed)


def read_pairs(source: str, target: str, seed: int) -> Text:
    """Read pairs, one per line of both files. Raises MassError if the numbers of lines differ."""
    files = {"source": [require_file(source, "source file")], "target": [require_file(target, "target file")]}
    return _read(files, f"pairs of {source} and {target}", seed)


def generate(columns: dict[str, float], seed: int) -> Text:
    """Generate random words; the lengths in a column are log-normal with the given median and a sigma of 0.5."""
    generator = np.random.default_rng(seed)
    words = {}
    for column, median in columns.items():
        lengths = np.clip(np.rint(generator.lognormal(np.log(median), 0.5, EXAMPLES)), 1, LONGEST - 1).astype(int)
        # Word frequencies follow Zipf's law, as in a language.
        drawn = iter(generator.zipf(1.2, lengths.sum()).astype(str))
        words[column] = [list(itertools.islice(drawn, length)) for length in lengths]
    medians = ", ".join(f"{column} {median:g}" for column, median in columns.items())
    return Text(words, f"generated examples, log-normal lengths with sigma 0.5 and medians {medians} (no text found)")


def encode(text: Text, vocabulary: int) -> dict[str, RaggedArray]:
    """Return the ids of the words, followed by </s>; the vocabulary has the most frequent words, others are <unk>."""
    counts = collections.Counter(itertools.chain.from_iterable(itertools.chain(*text.columns.values())))
    first = len(SPECIAL_TOKENS)
    ids = {word: first + rank for rank, (word, _) in enumerate(counts.most_common(vocabulary - first))}
    return {column: RaggedArray.from_sequences([*(ids.get(word, UNK_INDEX) for word in sentence), EOS_INDEX]
                                               for sentence in sentences)
            for column, sentences in text.columns.items()}


def _read(files: dict[str, list[str]], description: str, seed: int) -> Text:
    """Read the columns, which must have the same number of lines; empty and too long examples are dropped."""
    columns = {column: [line.split() for path in paths for line in _lines(path)] for column, paths in files.items()}
    counts = {column: len(sentences) for column, sentences in columns.items()}
    if len(set(counts.values())) > 1:
        raise MassError(f"{description}: not the same number of lines: {counts}")
    fitting = [number for number, example in enumerate(zip(*columns.values(), strict=True))
               if all(0 < len(words) < LONGEST for words in example)]
    if not fitting:
        raise MassError(f"{description}: none with 1 to {LONGEST - 1} words")
    chosen = np.random.default_rng(seed).permutation(fitting)[:EXAMPLES]
    return Text({column: [sentences[number] for number in chosen] for column, sentences in columns.items()},
                f"{len(chosen):,} {description}")


def _lines(path: str) -> list[str]:
    with open(os.fspath(path), encoding="utf-8", errors="replace") as stream:
        return stream.read().split("\n")[:-1]
