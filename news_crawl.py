"""Make data sets of sentences for pre-training from BPE-encoded text.

Each text file (*.txt) of --src_folder becomes one data set in --output_folder:

  <name>.tfrecord        the sentences as token ids; several files with --shards
  <name>.tfrecord.json   a description: counts, lengths, mask ratio, vocabulary
  <name>.tfrecord.index  an index, with which the data set is opened without reading it
  vocabulary-*.dict.bin  a copy of the vocabulary

The records hold whole sentences. The masks of pre-training are drawn when a batch is made, so that they differ from
epoch to epoch; --inspect shows examples. Data sets that an earlier run finished from the same text with the same
options are skipped.

example:
  python news_crawl.py --src_folder news/bpe --existed_vocab vocab/all_en.dict.bin --output_folder news/records
"""
from argparse import Namespace

from src.common.arguments import CommandLineParser, add_run_flags, part_of_name, run_options
from src.common.errors import run
from src.dataset.inspection import inspect_if_asked, inspection_flags
from src.dataset.options import add_record_flags, record_options
from src.dataset.preparation import check_sentences, choose_vocabulary, make_sentence_records
from src.dataset.report import report_data_sets


def parse_arguments() -> Namespace:
    parser = CommandLineParser(description=__doc__, parents=[inspection_flags()])
    parser.add_argument("--src_folder", metavar="FOLDER", required=True,
                        help="folder of BPE-encoded text files (*.txt)")
    parser.add_argument("--existed_vocab", metavar="FILE", help="vocabulary (.dict.bin) to use")
    parser.add_argument("--dict_folder", metavar="FOLDER",
                        help="folder of word frequencies (*.dict). A new vocabulary is made from them, and from "
                             "--existed_vocab if that is given too, and written to vocabulary.dict.bin in the output "
                             "folder. At least one of --existed_vocab and --dict_folder is required")
    parser.add_argument("--mask_ratio", metavar="RATIO", type=float, default=0.5,
                        help="share of each sentence that pre-training masks, above 0 and at most 1")
    parser.add_argument("--output_folder", metavar="FOLDER", required=True, help="folder for the data sets")
    parser.add_argument("--suffix", type=part_of_name, default="",
                        help="the data sets are named <name>_<suffix> instead of <name>")
    add_record_flags(parser)
    add_run_flags(parser)
    return parser.parse_args()


def main() -> None:
    if inspect_if_asked():
        return
    args = parse_arguments()
    options, run_as = record_options(args), run_options(args)
    check_sentences(args.src_folder, args.mask_ratio)  # before a vocabulary is made
    vocabulary_path = choose_vocabulary(args.existed_vocab, args.dict_folder, args.output_folder)
    data_sets = make_sentence_records(args.src_folder, args.output_folder, vocabulary_path, args.mask_ratio,
                                      args.suffix, options, run_as)
    report_data_sets(data_sets, run_as.quiet)


if __name__ == "__main__":
    run(main)
