"""Encode tokenized text with BPE codes, count its subwords, and build the vocabulary.

Every <prefix>*.txt of the source folder becomes <name>_bpe.txt and <name>.dict ('subword frequency' lines).
The vocabulary is made from the counts of all these files. An earlier vocabulary at --vocab_path is replaced
when the run has succeeded, and not before; any other file there is left alone and reported.
"""
import argparse

from src.common.arguments import HelpFormatter, add_run_flags, run_options
from src.common.errors import run
from src.common.progress import say
from src.text.bpe_corpus import build_vocabulary, check_vocabulary_options, encode_corpus
from src.text.conversion import FileSummary


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("--codes", required=True, help="BPE codes, as scripts/learn_subword.sh makes them")
    parser.add_argument("--src_folder", required=True, help="folder of tokenized UTF-8 *.txt files")
    parser.add_argument("--output_folder", required=True, help="where the encoded files go; made if need be")
    parser.add_argument("--prefix", default="", help="encode only the files whose name starts with this")
    parser.add_argument("--vocab_path", help="where to write the vocabulary; without it none is made")
    parser.add_argument(
        "--threshold",
        type=int,
        help="drop subwords of this frequency or less, but for as many as make the vocabulary's size a multiple of 16",
    )
    add_run_flags(parser)
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    options = run_options(arguments)
    earlier = check_vocabulary_options(arguments.vocab_path, arguments.threshold)
    total = FileSummary("all files", arguments.output_folder)
    for summary in encode_corpus(
        arguments.codes, arguments.src_folder, arguments.output_folder, arguments.prefix, options
    ):
        if not options.quiet:
            say(str(summary))
        total.add(summary)
    print(total)
    if not arguments.vocab_path:
        print("no vocabulary made: --vocab_path is not given")
        return
    built = build_vocabulary(total.counts, arguments.threshold, arguments.vocab_path)
    print(built)
    if earlier and earlier.fingerprint != built.vocabulary.fingerprint:
        print("  it replaces an earlier vocabulary, whose records and checkpoints do not go with it: make them anew")


if __name__ == "__main__":
    run(main)
