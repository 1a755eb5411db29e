"""Learn BPE codes from the *.txt files of SRC_FOLDER, which hold tokenized UTF-8 text.

Special tokens such as <unk> are not learned from. The same text always yields the same codes.
"""
import argparse
import os
import sys

from src.common.arguments import CommandLineParser, add_run_flags, run_options, whole_number
from src.common.errors import run
from src.common.parallel import available_cores
from src.text.learn_codes import learn_codes

ROOT = os.path.dirname(os.path.abspath(__file__))
SCRIPT = "learn_subword.sh"  # users start this program by scripts/learn_subword.sh


def parse_arguments() -> argparse.Namespace:
    parser = CommandLineParser(
        prog=f"sh {SCRIPT}", description=__doc__, allow_abbrev=False,
        epilog="The script runs $PYTHON if that is set, else the Python of the repository's .venv, else the python on "
               "the PATH.")
    parser.add_argument("folder", metavar="SRC_FOLDER", help="folder of tokenized UTF-8 *.txt files")
    parser.add_argument("--symbols", metavar="N", type=whole_number(1), default=46000,
                        help="number of merges to learn; learning stops earlier if no pair of symbols occurs twice")
    parser.add_argument("--output", metavar="FILE", default=os.path.join(ROOT, "vocab/all.bpe.codes"),
                        help="file for the codes; an existing file is replaced only after the run has succeeded")
    add_run_flags(parser, processes=available_cores())
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    codes = learn_codes(arguments.folder, arguments.output, arguments.symbols, run_options(arguments))
    print(f"{arguments.output}: {codes.merges} merges learned from {codes.words} distinct words"
          + (", unchanged and skipped" if codes.skipped else ""))


if __name__ == "__main__":
    sys.argv[0] = SCRIPT  # the name in error messages
    run(main)
