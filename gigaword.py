"""Make the data sets of Gigaword summarization (or of any other pairs) from BPE-encoded text.

Line i of a source file (article) and line i of its reference file (summary) are a pair. Training pairs with an empty or
too long side are dropped and counted. Test and valid sets keep every pair, so that record i is line i: sides that are
too long are truncated, and empty ones kept, and both are counted.
"""
from argparse import ArgumentParser, Namespace

from src.common.arguments import HelpFormatter, add_run_flags, run_options
from src.common.errors import UsageError, run
from src.dataset.inspection import inspect_if_asked, inspection_flags
from src.dataset.options import add_record_flags, record_options
from src.dataset.preparation import PairFiles, choose_vocabulary, make_pair_records, report_data_sets


def parse_arguments() -> Namespace:
    parser = ArgumentParser(description=__doc__, formatter_class=HelpFormatter, parents=[inspection_flags()])
    parser.add_argument("--train_src", required=True, help="BPE-encoded articles to train on, one a line")
    parser.add_argument("--train_ref", required=True, help="their BPE-encoded summaries")
    parser.add_argument("--test_src", required=True, help="articles to test on")
    parser.add_argument("--test_ref", required=True, help="their summaries")
    parser.add_argument("--valid_src", help="articles to validate on while training")
    parser.add_argument("--valid_ref", help="their summaries")
    parser.add_argument("--existed_vocab", required=True, help="vocabulary (.dict.bin), that of the pre-trained model")
    parser.add_argument("--output_folder", required=True,
                        help="folder for gigaword_{train,test,valid}_dataset.<format>")
    parser.add_argument("--noise_prob", type=float, default=0.0,
                        help="probability that a source word is masked in training; drawn anew for each batch")
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
