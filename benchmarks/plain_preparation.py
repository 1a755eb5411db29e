"""The simplest way to prepare text, for comparison: read everything, apply nltk and subword-nmt, write.

    python benchmarks/plain_preparation.py RAW CODES OUTPUT

It runs in one process, and creates no vocabulary and no records. It prints the seconds of each step as JSON.
"""
import json
import sys
import time

from nltk.tokenize import word_tokenize
from subword_nmt.apply_bpe import BPE


def main(raw: str, codes: str, output: str) -> None:
    times = [time.monotonic()]
    with open(raw, encoding="utf-8") as stream:
        lines = stream.read().split("\n")[:-1]
    times.append(time.monotonic())
    tokenized = [" ".join(word_tokenize(line, preserve_line=True)) for line in lines]
    times.append(time.monotonic())
    with open(codes, encoding="utf-8") as stream:
        bpe = BPE(stream)
    encoded = [bpe.process_line(line) for line in tokenized]
    times.append(time.monotonic())
    with open(output, "w", encoding="utf-8") as stream:
        stream.write("\n".join(encoded) + "\n")
    times.append(time.monotonic())
    names = ("read", "tokenize", "bpe", "write")
    print(json.dumps({name: end - begin for name, begin, end in zip(names, times, times[1:], strict=False)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
