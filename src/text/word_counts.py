"""Word frequencies of a folder of text, from which scripts/learn_subword.sh learns BPE codes.

    python -m src.text.word_counts FOLDER OUTPUT

writes a `word frequency` line for each word of FOLDER/*.txt, which `subword-nmt learn-bpe --dict-input` reads.
"""
import argparse
from collections import Counter

from src.text.parallel import FilePart, available_cores, file_parts, map_in_order
from src.utils.dictionary import Dictionary
from src.utils.errors import MassError, run
from src.utils.files import list_files


def count_words(folder: str, processes: int) -> Dictionary:
    """The words of `*.txt` in a folder. Special symbols and spellings of the unknown word are not among them.

    Raises:
        MassError: the folder or its text is missing, a file is not UTF-8, or no word is long enough to be split.
    """
    parts = (part for path in list_files(folder, "*.txt", "source folder") for part in file_parts(path))
    counts: Counter[str] = Counter()
    for part_counts in map_in_order(_count_part, parts, processes):
        counts.update(part_counts)
    words = Dictionary.from_counts(counts)
    if not any(len(word) > 1 for word in counts if word in words):
        raise MassError(f"the files *.txt of {folder!r} hold no word of two letters or more to learn from")
    return words


def _count_part(part: FilePart) -> Counter[str]:
    counts: Counter[str] = Counter()
    for line in part.read_lines():
        counts.update(line.split())
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description="Count the words of FOLDER/*.txt.")
    parser.add_argument("folder")
    parser.add_argument("output")
    arguments = parser.parse_args()
    count_words(arguments.folder, available_cores()).export(arguments.output)


if __name__ == "__main__":
    run(main)
