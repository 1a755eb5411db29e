"""Make the corpus of the quick start: English prose from docstrings of the standard library and installed packages.

It consists of sentences for pre-training and its validation (pretrain/, pretrain_valid/) and of pairs of description
and summary (pairs/). A summary is the first sentence of a docstring. A description is the name of the function, class
or module in words, a colon, and the prose after the summary; in the train split, sentences about parameters and results
are added if there is too little prose. Each line holds one sentence or description in lower case.

The packages in HELD_OUT form the valid and test splits, all others the train split. Other versions of Python or of
packages change the text, but not the assignment of packages to splits.
"""
import argparse
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from recipes.docstrings import Docstring, Reading, read_docstrings, source_folders
from recipes.prose import is_prose, paragraphs, sentences
from recipes.run_layout import PRETRAIN, PRETRAIN_VALID
from recipes.text_layout import SPLITS, paths_of_pairs
from src.common.arguments import CommandLineParser
from src.common.errors import MassError, run
from src.common.files import atomic_output

HELD_OUT = {
    "test": frozenset({"asyncio", "joblib", "logging", "PIL", "threading", "tkinter", "xml"}),
    "valid": frozenset({"click", "email", "http", "packaging", "statistics", "turtle", "turtledemo", "typing"}),
}
SUMMARY_WORDS = (3, 20)
DESCRIPTION_WORDS = (8, 120)
WORDS_OF_A_NAME = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
BOILERPLATE = 3  # a sentence in more docstrings than this is removed from the sources of all of them
FAST_STEP = 3  # the small corpus is made from every third file
FAST_SENTENCES = {"train": 12_000, "valid": 500}
FAST_PAIRS = {"train": 1_500, "valid": 100, "test": 100}

Item = TypeVar("Item")


@dataclass(frozen=True)
class Pair:
    """The source and the target of summarization."""

    name: str  # in words
    description: str
    target: str  # the summary

    @property
    def source(self) -> str:
        """Name and description."""
        return " : ".join(part for part in (self.name, self.description) if part)


@dataclass(frozen=True)
class Draft:
    """A docstring that begins with a summary, in sentences."""

    name: str  # of the function, class or module
    summary: str
    description: list[str]  # the prose after the summary
    details: list[str]  # sentences of lists, of parameters and results above all


@dataclass(frozen=True)
class Corpus:
    """The sentences and pairs of each split, ordered by package, file and position in the file."""

    sentences: dict[str, list[str]]
    pairs: dict[str, list[Pair]]

    def thinned(self) -> "Corpus":
        """Return a smaller corpus for smoke tests, with items that are evenly spread over this one."""
        return Corpus(
            {split: thin(items, FAST_SENTENCES.get(split, 0)) for split, items in self.sentences.items()},
            {split: thin(items, FAST_PAIRS[split]) for split, items in self.pairs.items()},
        )


def split_of(package: str) -> str:
    return next((split for split, packages in HELD_OUT.items() if package in packages), "train")


def make_corpus(docstrings: Iterable[Docstring]) -> Corpus:
    """Divide the prose of docstrings into splits without duplicates: text of test is not in valid, or of both in train.

    Texts that differ only in case and white space are duplicates. A pair is a duplicate if its summary is, or its
    description without the name.
    """
    prose: dict[str, list[str]] = {split: [] for split in SPLITS}
    drafts: dict[str, list[Draft]] = {split: [] for split in SPLITS}
    for docstring in docstrings:
        split = split_of(docstring.package)
        found, draft = read_prose(docstring)
        prose[split] += found
        if draft:
            drafts[split].append(draft)

    boilerplate = find_boilerplate(draft for split in SPLITS for draft in drafts[split])
    seen_sentences: set[str] = set()
    seen_sides: set[str] = set()
    corpus = Corpus({}, {})
    for split in reversed(SPLITS):
        pairs = (make_pair(draft, boilerplate, split == "train") for draft in drafts[split])
        corpus.pairs[split] = [pair for pair in pairs
                               if pair and are_new([pair.description, pair.target], seen_sides)]
        corpus.sentences[split] = [text for text in prose[split] if are_new([text], seen_sentences)]
    return corpus


def read_prose(docstring: Docstring) -> tuple[list[str], Draft | None]:
    """Return all sentences of a docstring that are prose, and its draft of a pair if it begins with a summary."""
    found = [(part.kind, sentence) for part in paragraphs(docstring.text) for sentence in sentences(part.text)]
    prose = [(kind, sentence) for kind, sentence in found if is_prose(sentence)]
    draft = None
    if found and found[0][0] == "prose" and is_prose(found[0][1], *SUMMARY_WORDS):
        rest = prose[1:] if prose[:1] == found[:1] else prose
        draft = Draft(docstring.name, found[0][1], [sentence for kind, sentence in rest if kind == "prose"],
                      [sentence for kind, sentence in rest if kind != "prose"])
    return [sentence for _, sentence in prose], draft


def find_boilerplate(drafts: Iterable[Draft]) -> set[str]:
    """Return the normalized sentences that occur in many docstrings, such as 'this interface is deprecated.'."""
    counts = Counter(text for draft in drafts
                     for text in {normalize(sentence) for sentence in [*draft.description, *draft.details]})
    return {text for text, count in counts.items() if count > BOILERPLATE}


def make_pair(draft: Draft, boilerplate: set[str], with_details: bool) -> Pair | None:
    """Make a pair from a summary and the sentences that follow it; return None if they are too short.

    A description that is too long is truncated at the end of a sentence. Sentences that repeat the summary are dropped.

    Args:
        draft: the docstring.
        boilerplate: normalized sentences that are dropped.
        with_details: add the details to a description that is too short.
    """
    known = normalize(draft.summary).rstrip(".")

    def informative(sentences: Iterable[str]) -> list[str]:
        return [sentence for sentence in sentences
                if normalize(sentence) not in boilerplate and known not in normalize(sentence)]

    fewest, most = DESCRIPTION_WORDS
    description = informative(draft.description)
    if with_details and count_words(description) < fewest:
        description += informative(draft.details)
    while count_words(description) > most:
        description.pop()
    # The tokenizer separates the full stop only at the end of a line, so those inside the line are separated here.
    text = " ".join(f"{sentence[:-1]} ." if sentence.endswith(".") else sentence for sentence in description)
    return Pair(words_of(draft.name), text, draft.summary) if count_words(description) >= fewest else None


def words_of(name: str) -> str:
    """Return the parts of a name in lower case: `get http status` for `get_HTTPStatus`."""
    return " ".join(WORDS_OF_A_NAME.findall(name)).lower()


def count_words(sentences: Iterable[str]) -> int:
    return sum(len(sentence.split()) for sentence in sentences)


def normalize(text: str) -> str:
    return " ".join(text.lower().split())


def are_new(texts: Sequence[str], seen: set[str]) -> bool:
    """Return whether none of the texts is in `seen`, and add them to it in this case."""
    normalized = {normalize(text) for text in texts}
    if normalized & seen:
        return False
    seen |= normalized
    return True


def thin(items: list[Item], count: int) -> list[Item]:
    """Return `count` items that are evenly spread over all of them, or all items if there are fewer."""
    return [items[i * len(items) // count] for i in range(count)] if count < len(items) else items


def write_corpus(corpus: Corpus, folder: str) -> list[tuple[str, int, int]]:
    """Write the files of the corpus in lower case; return name, number of lines and number of words of each file."""
    files = {
        os.path.join(PRETRAIN, f"{PRETRAIN}.txt"): corpus.sentences["train"],
        os.path.join(PRETRAIN_VALID, f"{PRETRAIN_VALID}.txt"): corpus.sentences["valid"],
    }
    for split in SPLITS:
        sources, targets = paths_of_pairs("", split)
        files[sources] = [pair.source for pair in corpus.pairs[split]]
        files[targets] = [pair.target for pair in corpus.pairs[split]]
    table = []
    for name, lines in files.items():
        if not lines:
            raise MassError(f"there is no docstring for {name}; is the standard library of this Python installed?")
        with atomic_output(os.path.join(folder, name)) as path, open(path, "w", encoding="utf-8") as stream:
            stream.writelines(f"{normalize(line)}\n" for line in lines)
        table.append((name, len(lines), sum(len(line.split()) for line in lines)))
    return table


def parse_arguments() -> argparse.Namespace:
    parser = CommandLineParser(prog="python -m recipes.docstring_corpus", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output_folder", required=True, help="folder for the corpus; created if missing")
    parser.add_argument("--fast", action="store_true", help="make a small corpus for a smoke test")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    reading = Reading()
    step = FAST_STEP if arguments.fast else 1
    corpus = make_corpus(read_docstrings(source_folders(), reading, step))
    if arguments.fast:
        corpus = corpus.thinned()
    table = write_corpus(corpus, arguments.output_folder)
    print(f"{reading.docstrings} docstrings in {reading.files} Python files ({reading.unreadable} unreadable files)")
    print(f"{'file':36}{'lines':>9}{'words':>10}")
    for name, lines, words in table:
        print(f"{name:36}{lines:9}{words:10}")


if __name__ == "__main__":
    run(main)
