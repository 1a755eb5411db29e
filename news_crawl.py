"""Make data sets of sentences for pre-training from BPE-encoded text.

One record file for each *.txt file of --src_folder, with a copy of the vocabulary and a description (.json) beside it.
Records hold whole sentences; what is masked is drawn anew whenever a batch is made.
"""
from argparse import ArgumentParser, Namespace

from src.dataset.preparation import choose_vocabulary, make_sentence_records, report
from src.dataset.records import RECORD_FORMATS
from src.utils.arguments import HelpFormatter
from src.utils.errors import run


def parse_arguments() -> Namespace:
    parser = ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("--src_folder", required=True, help="folder of BPE-encoded text files (*.txt)")
    parser.add_argument("--existed_vocab", help="vocabulary (.dict.bin) to use")
    parser.add_argument("--dict_folder",
                        help="folder of word frequencies (*.dict): a new vocabulary is made of them, and of "
                             "--existed_vocab if that is given too, in the output folder")
    parser.add_argument("--mask_ratio", type=float, default=0.5, help="share of a sentence that pre-training masks")
    parser.add_argument("--output_folder", required=True, help="folder for the record files")
    parser.add_argument("--max_len", type=int, default=64,
                        help="longest sentence, in symbols with </s>; longer ones are dropped and counted")
    parser.add_argument("--suffix", default="", help="put after the names of the record files, as in <name>_<suffix>")
    parser.add_argument("--processes", type=int, default=2, help="files that are converted at a time")
    parser.add_argument("--format", choices=RECORD_FORMATS, default="tfrecord", help="format of the record files")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    vocabulary_path = choose_vocabulary(args.existed_vocab, args.dict_folder, args.output_folder)
    data_sets = make_sentence_records(args.src_folder, args.output_folder, vocabulary_path, args.mask_ratio,
                                      args.max_len, args.suffix, args.format, args.processes)
    for path, info in data_sets:
        report(path, info)


if __name__ == "__main__":
    run(main)
