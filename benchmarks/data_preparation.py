"""Measure speed and memory of each step of data preparation, compared with simple tools on the same text.

    python benchmarks/data_preparation.py --text FOLDER [--lines 1000000] [--rounds 3] [--only STEP ...] [--work FOLDER]

The text is enlarged to --lines lines in one file (see enlarge_text.py). Each step is run as a command, including its
start-up time, with 1 and with 2 processes. For comparison, `subword-nmt apply-bpe` is run on the same tokens, and
plain_preparation.py on the same text (or, without --whole_plain, on a tenth of it). All of them take turns in each
round, and times are medians over the rounds. Peak memory is also measured for a tenth of the lines. The output is the
Markdown tables of benchmarks/README.md. Linux only.
"""
import argparse
import filecmp
import os
import sys
import tempfile
from collections import defaultdict

from measure_process import Measurement
from preparation_report import report
from preparation_runs import OTHERS, STEPS, Preparation, Run


def runs_of_round(preparation: Preparation, chosen: list[str], number: int, learn_rounds: int,
                  whole_plain: bool) -> list[Run]:
    """Return the runs of a round in order. Every other round starts with two processes.

    Runs on a tenth of the lines, for memory, are part of the first round only. Without `whole_plain`, the plain script
    is run on a tenth of the lines. MindRecord files are always written by one process, so they are made with two only.
    """
    runs = []
    for step in (*STEPS, *OTHERS):
        if step not in chosen or (step == "learn" and number >= learn_rounds):
            continue
        processes = (1,) if step in OTHERS else (2,) if step == "mindrecord" else (1, 2) if number % 2 == 0 else (2, 1)
        sizes = [preparation.lines] if step != "plain" or whole_plain else [preparation.sample_lines]
        if "memory" in chosen and number == 0 and preparation.sample_lines not in sizes:
            sizes.append(preparation.sample_lines)
        runs += [Run(step, count, lines) for lines in sizes for count in processes]
    return runs


def identities(preparation: Preparation, done: dict[Run, list[Measurement]]) -> list[str]:
    """Compare outputs that must be equal, and return the results as lines of text."""
    lines = []
    for step, ending in (("tokenize", ".txt"), ("learn", "codes"), ("bpe", (".txt", ".dict", ".bin")),
                         ("records", ".tfrecord")):
        one, two = (Run(step, processes, preparation.lines) for processes in (1, 2))
        if one in done and two in done:
            folders = preparation.output(one), preparation.output(two)
            names = [[name for name in sorted(os.listdir(folder)) if name.endswith(ending)] for folder in folders]
            same = names[0] == names[1] and filecmp.cmpfiles(*folders, names[0], shallow=False)[0] == names[0]
            lines.append(f"{step}: outputs of 1 and 2 processes are {'the same bytes' if same else 'DIFFERENT'}")
    theirs, ours = Run("subword-nmt", 1, preparation.lines), Run("bpe", 1, preparation.lines)
    if theirs in done and ours in done:
        same = filecmp.cmp(os.path.join(preparation.output(theirs), "bpe.txt"),
                           os.path.join(preparation.output(ours), "news_tokenized_bpe.txt"), shallow=False)
        lines.append(f"bpe: our output and that of subword-nmt are {'the same bytes' if same else 'DIFFERENT'}")
    return lines


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", required=True, help="folder of *.txt files")
    parser.add_argument("--lines", type=int, default=1_000_000, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--learn_rounds", type=int, default=1, help="rounds in which codes are learned (default: 1)")
    parser.add_argument("--symbols", type=int, default=46000, help="BPE merges to learn (default: %(default)s)")
    parser.add_argument("--threshold", type=int, default=50, help="threshold of the vocabulary (default: %(default)s)")
    parser.add_argument("--whole_plain", action="store_true",
                        help="run the plain script on all lines instead of a tenth (6 minutes for a million lines)")
    parser.add_argument("--only", nargs="+", choices=[*STEPS, *OTHERS, "memory"], default=[*STEPS, *OTHERS, "memory"],
                        help="what to measure (default: all); earlier steps are run without being measured")
    parser.add_argument("--work", help="folder for text and outputs, which later calls reuse (default: temporary)")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    with tempfile.TemporaryDirectory() as temporary:
        work = os.path.abspath(args.work or temporary)
        os.makedirs(work, exist_ok=True)
        preparation = Preparation(work, args.text, args.lines, args.symbols, args.threshold)
        growth = preparation.make_raw_text()
        done: dict[Run, list[Measurement]] = defaultdict(list)
        for number in range(args.rounds):
            for run in runs_of_round(preparation, args.only, number, args.learn_rounds, args.whole_plain):
                measured = preparation.measure(run)
                done[run].append(measured)
                print(f"round {number + 1}: {run.step}, {run.processes} processes, {run.lines:,} lines: "
                      f"{measured.seconds:.1f} s ({measured.cpu_seconds:.1f} s of CPU time), "
                      f"{measured.largest_mib:.0f} MiB", file=sys.stderr, flush=True)
        print(growth)
        print("\n".join(identities(preparation, done)) + "\n")
        print(report(done, args.lines, preparation.sample_lines))


if __name__ == "__main__":
    main()
