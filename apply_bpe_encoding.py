"""Encode tokenized text with BPE codes, count its subwords, and build the vocabulary.

Every file <prefix>*.txt of the source folder is encoded into <name>_bpe.txt, and its counts are written to <name>.dict
('subword frequency' lines). The vocabulary is built from the counts of all files. An existing vocabulary at
--vocab_path is replaced only after the run has succeeded; a file of any other kind there is reported and kept.
"""
import argparse

from src.common.arguments import CommandLineParser, add_run_flags, part_of_name, run_options
from src.common.errors import run
from src.common.progress import say
from src.text.bpe_corpus import build_vocabulary, check_vocabulary_options, encode_corpus
from src.text.conversion import FileSummary
from src.utils.vocabulary_tools import describe_replacement


def parse_arguments() -> argparse.Namespace:
    parser = CommandLineParser(description=__doc__)
    parser.add_argument("--codes", required=True, help="BPE codes, as learned by scripts/learn_subword.sh")
    parser.add_argument("--src_folder", required=True, help="folder of tokenized UTF-8 *.txt files")
    parser.add_argument("--output_folder", required=True, help="folder for the encoded files; created if missing")
    parser.add_argument("--prefix", type=part_of_name, default="", help="encode only files whose names start with this")
    parser.add_argument("--vocab_path", help="file for the vocabulary; without this flag no vocabulary is built")
    parser.add_argument(
        "--threshold",
        type=int,
        help="drop subwords of this frequency or less, except for the most frequent ones that are needed to make the "
             "size of the vocabulary a multiple of 16",
    )
    add_run_flags(parser)
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    options = run_options(arguments)
    earlier = check_vocabulary_options(arguments.vocab_path, arguments.threshold)
    total = FileSummary("all files", arguments.output_folder)
    for summary in encode_corpus(
        arguments.codes, arguments.src_folder, arguments.output_folder, arguments.prefix, options,
        arguments.vocab_path
    ):
        if not options.quiet:
            say(str(summary))
        total.add(summary)
    print(total)
    if not arguments.vocab_path:
        print("no vocabulary was built, as --vocab_path is not given")
        return
    built = build_vocabulary(total.counts, arguments.threshold, arguments.vocab_path)
    print(built)
    for line in describe_replacement(earlier, built.vocabulary):
        print(line)


if __name__ == "__main__":
    run(main)
