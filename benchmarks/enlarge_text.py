"""Enlarge a folder of text to a number of lines, as input for benchmarks of data preparation.

    python benchmarks/enlarge_text.py --text FOLDER --lines 1000000 --output FILE

The lines of all *.txt files are shuffled, and repeated as often as needed. The number of distinct words of real text
keeps growing, which repetition alone does not reproduce; caches of words would then seem better than they are. So in
every copy after the first one, digits are replaced by other digits, and in a share of the lines a new word is made of
the halves of two others. The share is chosen such that ten times the lines have about 3.7 times the distinct words, as
in a corpus of news; the growth is printed. The same text always yields the same file, and its first tenth is a
representative sample of it.
"""
import argparse
import os
import random
import sys
from collections.abc import Iterator

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from src.common.errors import MassError, run  # noqa: E402
from src.common.files import atomic_output, list_files  # noqa: E402
from src.common.text_files import read_lines  # noqa: E402

BLEND_SHARE = 0.3
_DIGITS = "0123456789"


def enlarged_lines(base: list[str], count: int) -> Iterator[str]:
    """Shuffle the lines `base`, and yield `count` lines made from them."""
    random.Random(0).shuffle(base)
    for number in range(count):
        copy, place = divmod(number, len(base))
        yield base[place] if copy == 0 else vary(base[place], copy)


def vary(line: str, copy: int) -> str:
    """Return the line with other digits and sometimes a new word; the result depends on the arguments only."""
    line = line.translate(str.maketrans(_DIGITS, _DIGITS[copy % 10 :] + _DIGITS[: copy % 10]))
    draw = random.Random(f"{copy} {line}")
    if draw.random() >= BLEND_SHARE:
        return line
    words = line.split(" ")
    long_ones = [place for place, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    if len(long_ones) < 2:
        return line
    first, second = draw.sample(long_ones, 2)
    words[first] = words[first][: len(words[first]) // 2 + 1] + words[second][len(words[second]) // 2 :]
    return " ".join(words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", required=True, help="folder of *.txt files")
    parser.add_argument("--lines", type=int, required=True)
    parser.add_argument("--output", required=True)
    args = parser.parse_args()
    base = [line for path in list_files(args.text, "*.txt", "text folder") for line in read_lines(path) if line.strip()]
    if not base:
        raise MassError(f"the *.txt files of {args.text!r} hold no text")
    words: set[str] = set()
    with atomic_output(args.output) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as stream:
        for number, line in enumerate(enlarged_lines(base, args.lines), start=1):
            stream.write(line + "\n")
            words.update(line.split())
            if number in (args.lines // 10, args.lines) or number in (len(base) // 10, len(base)):
                print(f"{number:,} lines: {len(words):,} distinct words")


if __name__ == "__main__":
    run(main)
