"""A large job end to end: `eval.py --input` on many lines, raw text in and raw text out, with its speed and memory.

The lines of a text file are repeated, each time with another number at the end, until there are enough. Every size runs
in a process of its own, rounds alternate between the sizes, and medians are printed.
"""
import argparse
import os
import statistics
import sys
from itertools import cycle, islice
from tempfile import TemporaryDirectory

from measure_process import Measurement, measure

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def write_lines(source: str, path: str, count: int) -> None:
    """Write `count` lines, those of `source` again and again."""
    with open(source, encoding="utf-8") as stream:
        lines = stream.read().splitlines()
    with open(path, "w", encoding="utf-8") as stream:
        for number, line in enumerate(islice(cycle(lines), count)):
            stream.write(f"{line} {number // len(lines)}\n")


def run(ckpt: str, text: str, output: str, settings: list[str]) -> Measurement:
    """Run eval.py on a file."""
    words = [word for setting in settings for word in ("--set", setting)]
    return measure([sys.executable, os.path.join(ROOT, "eval.py"), "--ckpt", ckpt, "--input", text, "--output", output,
                    "--overwrite", *words])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ckpt", required=True, help="a trained model, for example quickstart_run/finetune_mass")
    parser.add_argument("--text", required=True, help="raw text, one sentence a line")
    parser.add_argument("--lines", type=int, nargs="+", default=[10_000, 100_000], help="numbers of lines")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="node.key=value")
    args = parser.parse_args()
    found: dict[int, list[Measurement]] = {count: [] for count in args.lines}
    with TemporaryDirectory() as folder:
        for count in args.lines:
            write_lines(args.text, os.path.join(folder, f"{count}.txt"), count)
        for _ in range(args.rounds):
            for count, measured in found.items():
                measured.append(run(args.ckpt, os.path.join(folder, f"{count}.txt"), os.path.join(folder, "out.txt"),
                                    args.settings))
    print("| lines | seconds | lines/s | peak memory, MiB |\n| ---: | ---: | ---: | ---: |")
    for count, measured in found.items():
        seconds = statistics.median(run.seconds for run in measured)
        memory = statistics.median(run.largest_mib for run in measured)
        print(f"| {count:,} | {seconds:,.1f} | {count / seconds:,.0f} | {memory:,.0f} |")


if __name__ == "__main__":
    main()
