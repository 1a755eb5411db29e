"""Make data sets of sentences for pre-training from BPE-encoded text.

One data set for each *.txt file of --src_folder: a record file (or several, --shards), with a description (.json), an
index for quick reading and a copy of the vocabulary beside it. Records hold whole sentences; what is masked is drawn
anew whenever a batch is made. --inspect shows what that looks like.
"""
from argparse import ArgumentParser, Namespace

from src.common.arguments import HelpFormatter, add_run_flags, run_options
from src.common.errors import run
from src.dataset.inspection import inspect_if_asked, inspection_flags
from src.dataset.options import add_record_flags, record_options
from src.dataset.preparation import choose_vocabulary, make_sentence_records, report_data_sets


def parse_arguments() -> Namespace:
    parser = ArgumentParser(description=__doc__, formatter_class=HelpFormatter, parents=[inspection_flags()])
    parser.add_argument("--src_folder", required=True, help="folder of BPE-encoded text files (*.txt)")
    parser.add_argument("--existed_vocab", help="vocabulary (.dict.bin) to use")
    parser.add_argument("--dict_folder",
                        help="folder of word frequencies (*.dict): a new vocabulary is made of them, and of "
                             "--existed_vocab if that is given too, in the output folder")
    parser.add_argument("--mask_ratio", type=float, default=0.5, help="share of a sentence that pre-training masks")
    parser.add_argument("--output_folder", required=True, help="folder for the record files")
    parser.add_argument("--suffix", default="", help="put after the names of the record files, as in <name>_<suffix>")
    add_record_flags(parser)
    add_run_flags(parser)
    return parser.parse_args()


def main() -> None:
    if inspect_if_asked():
        return
    args = parse_arguments()
    options, run_as = record_options(args), run_options(args)
    vocabulary_path = choose_vocabulary(args.existed_vocab, args.dict_folder, args.output_folder)
    data_sets = make_sentence_records(args.src_folder, args.output_folder, vocabulary_path, args.mask_ratio,
                                      args.suffix, options, run_as)
    report_data_sets(data_sets, run_as.quiet)


if __name__ == "__main__":
    run(main)
