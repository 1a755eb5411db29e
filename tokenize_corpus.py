"""Split raw text into tokens: every <name>.txt of the corpus folders becomes <name>_tokenized.txt."""
import argparse
import sys

from src.text.parallel import FileSummary, available_cores, require_processes
from src.text.tokenization import TOKENIZERS, plan_corpus, tokenize_corpus, usable_tokenizer
from src.utils.arguments import HelpFormatter
from src.utils.errors import run


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument(
        "--corpus_folder",
        required=True,
        help="folder of UTF-8 *.txt files, one sentence a line; several folders are separated by commas",
    )
    parser.add_argument("--output_folder", required=True, help="where the tokenized files go; made if need be")
    parser.add_argument("--tokenizer", choices=TOKENIZERS, default="nltk", help="nltk for English, jieba for Chinese")
    parser.add_argument("--pool_size", type=int, default=available_cores(), help="number of processes")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    require_processes(arguments.pool_size, "--pool_size")
    plan = plan_corpus([folder for folder in arguments.corpus_folder.split(",") if folder], arguments.output_folder)
    tokenizer = usable_tokenizer(arguments.tokenizer)
    if tokenizer != arguments.tokenizer:
        print(f"{arguments.tokenizer} cannot be imported (try pip install); using {tokenizer}", file=sys.stderr)
    total = FileSummary("all files", arguments.output_folder)
    for summary in tokenize_corpus(plan, tokenizer, arguments.pool_size):
        print(summary, flush=True)
        total.add(summary)
    print(total)


if __name__ == "__main__":
    run(main)
