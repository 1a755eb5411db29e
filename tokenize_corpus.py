"""Tokenize raw text: every <name>.txt of the corpus folders becomes <name>_tokenized.txt."""
import argparse

from src.common.arguments import CommandLineParser, add_run_flags, run_options, split_paths
from src.common.errors import run
from src.common.parallel import available_cores
from src.common.progress import say
from src.text.conversion import FileSummary
from src.text.tokenization import TOKENIZERS, find_corpus, tokenize_corpus, usable_tokenizer


def parse_arguments() -> argparse.Namespace:
    parser = CommandLineParser(description=__doc__)
    parser.add_argument(
        "--corpus_folder",
        required=True,
        help="folder of UTF-8 *.txt files with one sentence per line; separate several folders by commas",
    )
    parser.add_argument("--output_folder", required=True, help="folder for the tokenized files; created if missing")
    parser.add_argument("--tokenizer", choices=TOKENIZERS, default="nltk", help="nltk for English, jieba for Chinese")
    add_run_flags(parser, ("--pool_size", "--processes"), available_cores())
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    options = run_options(arguments, "--pool_size")
    folders = split_paths(arguments.corpus_folder, "--corpus_folder")
    sources = find_corpus(folders, arguments.output_folder)
    tokenizer = usable_tokenizer(arguments.tokenizer)
    total = FileSummary("all files", arguments.output_folder)
    for summary in tokenize_corpus(sources, arguments.output_folder, tokenizer, options):
        if not options.quiet:
            say(str(summary))
        total.add(summary)
    print(total)


if __name__ == "__main__":
    run(main)
