"""Make the data sets of Cornell movie dialogs (utterance -> response).

--src_folder holds either of two things:

BPE-encoded text: files <prefix>*src*.txt, each with its partner <prefix>*tgt*.txt (the name with tgt for src), for
each of the three prefixes. They become cornell_{train,valid,test}_dataset.<format>. Training pairs with an empty or too
long side are dropped and counted. Test and valid sets keep every pair, so that record i is line i: sides that are too
long are truncated, and empty ones kept, and both are counted.

The corpus as published (movie_lines.txt, movie_conversations.txt): each two consecutive lines of a conversation become
a pair, the films are split 80/10/10 into train, valid and test (no film is in two splits), and the pairs are written as
raw text into a folder in --output_folder. The commands that turn that text into data sets are printed.
"""
import os
import sys
from argparse import ArgumentParser, Namespace

from src.dataset.cornell_corpus import is_published_corpus
from src.dataset.cornell_preparation import find_pair_files, split_published_corpus
from src.dataset.preparation import choose_vocabulary, make_pair_records, report
from src.dataset.records import RECORD_FORMATS
from src.utils.arguments import HelpFormatter
from src.utils.errors import UsageError, run


def parse_arguments() -> Namespace:
    parser = ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("--src_folder", required=True, help="folder of encoded text, or of the corpus as published")
    parser.add_argument("--existed_vocab",
                        help="vocabulary (.dict.bin), that of the pre-trained model; needed for records")
    for split in ("train", "test", "valid"):
        parser.add_argument(f"--{split}_prefix", default=split,
                            help=f"prefix of the names of the {split} files; an empty one ('') leaves the set out")
    parser.add_argument("--noise_prob", type=float, default=0.0,
                        help="probability that a source word is masked in training, drawn anew for each batch")
    parser.add_argument("--output_folder", required=True, help="folder for the record files, or for the split text")
    parser.add_argument("--max_len", type=int, default=64,
                        help="longest source or target, in symbols with </s>")
    parser.add_argument("--format", choices=RECORD_FORMATS, default="tfrecord",
                        help="format of the record files")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    prefixes = {split: getattr(args, f"{split}_prefix") for split in ("train", "valid", "test")}
    if is_published_corpus(args.src_folder):
        split_published_corpus(args.src_folder, args.output_folder, prefixes, args.existed_vocab,
                               os.path.dirname(sys.argv[0]))
        return
    data_sets = find_pair_files(args.src_folder, prefixes)
    if not args.existed_vocab:
        raise UsageError("give --existed_vocab, the vocabulary the text is to be written in")
    vocabulary_path = choose_vocabulary(args.existed_vocab, None, args.output_folder)
    for path, info in make_pair_records(data_sets, args.output_folder, vocabulary_path, args.noise_prob, args.max_len,
                                        args.format):
        report(path, info)


if __name__ == "__main__":
    run(main)
