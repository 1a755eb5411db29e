"""Make the data sets of Gigaword summarization, or of any other task on pairs, from BPE-encoded text.

Line i of a source file (an article) and line i of its reference file (the summary) are a pair. The data sets are named
gigaword_train_dataset, gigaword_test_dataset and, with --valid_src and --valid_ref, gigaword_valid_dataset. Each has a
description (.json) and an index (.index) beside it, and the folder holds a copy of the vocabulary.

Training pairs with an empty or too long side are dropped and counted. The test and validation sets keep every pair, so
that record i is line i: sides that are too long are truncated, empty sides are kept, and both are counted. Data sets
that an earlier run finished from the same text with the same options are skipped.

example:
  python gigaword.py --train_src bpe/train.src_bpe.txt --train_ref bpe/train.tgt_bpe.txt \\
      --test_src bpe/test.src_bpe.txt --test_ref bpe/test.tgt_bpe.txt \\
      --existed_vocab vocab/all_en.dict.bin --output_folder records
"""
from argparse import Namespace

from src.common.arguments import CommandLineParser, add_run_flags, run_options
from src.common.errors import UsageError, run
from src.dataset.inspection import inspect_if_asked, inspection_flags
from src.dataset.options import add_record_flags, record_options
from src.dataset.preparation import PairFiles, choose_vocabulary, make_pair_records
from src.dataset.report import report_data_sets


def parse_arguments() -> Namespace:
    parser = CommandLineParser(description=__doc__, parents=[inspection_flags()])
    for flag, required, text in (
        ("train_src", True, "BPE-encoded articles of the training set, one per line"),
        ("train_ref", True, "BPE-encoded summaries of the training set, one per line"),
        ("test_src", True, "articles of the test set"),
        ("test_ref", True, "summaries of the test set"),
        ("valid_src", False, "articles of the validation set"),
        ("valid_ref", False, "summaries of the validation set"),
        ("existed_vocab", True, "vocabulary (.dict.bin) of the pre-trained model"),
    ):
        parser.add_argument(f"--{flag}", metavar="FILE", required=required, help=text)
    parser.add_argument("--output_folder", metavar="FOLDER", required=True, help="folder for the data sets")
    parser.add_argument("--noise_prob", metavar="P", type=float, default=0.0,
                        help="probability with which each source token is masked in training, from 0 to 1. The masks "
                             "are drawn when a batch is made")
    add_record_flags(parser)
    add_run_flags(parser)
    return parser.parse_args()


def main() -> None:
    if inspect_if_asked():
        return
    args = parse_arguments()
    options, run_as = record_options(args), run_options(args)
    if bool(args.valid_src) != bool(args.valid_ref):
        raise UsageError("give both --valid_src and --valid_ref, or neither")
    texts = {"train": (args.train_src, args.train_ref), "valid": (args.valid_src, args.valid_ref),
             "test": (args.test_src, args.test_ref)}
    data_sets = [PairFiles(f"gigaword_{split}_dataset", split, (source,), (reference,))
                 for split, (source, reference) in texts.items() if source]
    vocabulary_path = choose_vocabulary(args.existed_vocab, None, args.output_folder)
    made = make_pair_records(data_sets, args.output_folder, vocabulary_path, args.noise_prob, options, run_as)
    report_data_sets(made, run_as.quiet)


if __name__ == "__main__":
    run(main)
