"""Make the data sets of the Cornell movie dialogs, in which a response follows an utterance.

--src_folder is one of two things:

BPE-encoded text. For each of the three prefixes, there are files <prefix>*src*.txt with utterances and files of the
same name with tgt instead of src with the responses. They become the data sets cornell_train_dataset,
cornell_valid_dataset and cornell_test_dataset. Training pairs with an empty or too long side are dropped and counted.
The test and validation sets keep every pair, so that record i is line i: sides that are too long are truncated, empty
sides are kept, and both are counted.

The corpus as published (movie_lines.txt and movie_conversations.txt). Each two consecutive lines of a conversation are
a pair. The pairs are split into training, validation and test set film by film, so that no film is in two sets, and
written as raw text to the subfolder raw of --output_folder. With --codes and --existed_vocab, this text is tokenized,
encoded and made into the data sets in the same run.

examples:
  python cornell_dialog.py --src_folder cornell/bpe --existed_vocab vocab/all_en.dict.bin --output_folder records
  python cornell_dialog.py --src_folder cornell/published --codes vocab/all.bpe.codes \\
      --existed_vocab vocab/all_en.dict.bin --output_folder records
"""
from argparse import Namespace

from src.common.arguments import CommandLineParser, add_run_flags, part_of_name, run_options
from src.common.errors import UsageError, run
from src.common.files import require_file
from src.dataset.cornell.corpus import is_published_corpus
from src.dataset.cornell.pair_files import find_pair_files
from src.dataset.cornell.preparation import encode_raw_text, write_raw_text
from src.dataset.cornell.split import SPLIT_SHARES, SplitPlan, parse_shares
from src.dataset.inspection import inspect_if_asked, inspection_flags
from src.dataset.options import add_record_flags, record_options
from src.dataset.preparation import choose_vocabulary, make_pair_records
from src.dataset.report import report_data_sets


def parse_arguments() -> Namespace:
    parser = CommandLineParser(description=__doc__, parents=[inspection_flags()])
    parser.add_argument("--src_folder", metavar="FOLDER", required=True,
                        help="folder of encoded text or of the published corpus")
    parser.add_argument("--existed_vocab", metavar="FILE",
                        help="vocabulary (.dict.bin) of the pre-trained model; required unless the published corpus is "
                             "only to be written as raw text")
    for split, name in (("train", "training"), ("test", "test"), ("valid", "validation")):
        parser.add_argument(f"--{split}_prefix", type=part_of_name, metavar="PREFIX", default=split,
                            help=f"prefix of the names of the {name} files; with an empty prefix ('') there is no "
                                 f"{name} set")
    parser.add_argument("--noise_prob", metavar="P", type=float, default=0.0,
                        help="probability with which each source token is masked in training, from 0 to 1. The masks "
                             "are drawn when a batch is made")
    parser.add_argument("--output_folder", metavar="FOLDER", required=True,
                        help="folder for the data sets, and for the text of the published corpus")
    published = parser.add_argument_group("published corpus")
    published.add_argument("--codes", metavar="FILE",
                           help="BPE codes that belong to the vocabulary; with them, the data sets are made, too")
    published.add_argument("--split", metavar="TRAIN,VALID,TEST", default=",".join(map(str, SPLIT_SHARES.values())),
                           help="shares of the pairs in the training, validation and test set. Films are not divided, "
                                "so that the shares are approximate; with a share of 0 there is no such set")
    published.add_argument("--split_seed", metavar="N", type=int, default=0,
                           help="another number assigns other films to the sets")
    add_record_flags(parser)
    add_run_flags(parser)
    return parser.parse_args()


def main() -> None:
    if inspect_if_asked():
        return
    args = parse_arguments()
    prefixes = {split: getattr(args, f"{split}_prefix") for split in ("train", "valid", "test")}
    options = run_options(args)
    published = is_published_corpus(args.src_folder)
    if args.codes and not published:
        raise UsageError(f"--codes is for the published corpus, which is not in {args.src_folder!r}; encode other text "
                         f"with apply_bpe_encoding.py")
    if not args.existed_vocab and (args.codes or not published):
        raise UsageError("give --existed_vocab, the vocabulary of the model for which the data sets are made")
    if published:
        plan = SplitPlan(prefixes, parse_shares(args.split), args.split_seed)
        if not args.codes:
            write_raw_text(args.src_folder, args.output_folder, plan, prefixes, options)
            print("this is raw text; to make data sets, also give --codes and --existed_vocab, those of your model")
            return
    vocabulary_path = choose_vocabulary(args.existed_vocab, None, args.output_folder)
    if published:
        require_file(args.codes, "BPE codes")
        write_raw_text(args.src_folder, args.output_folder, plan, prefixes, options)
        data_sets = encode_raw_text(args.output_folder, plan, args.codes, options)
    else:
        data_sets = find_pair_files(args.src_folder, prefixes)
    made = make_pair_records(data_sets, args.output_folder, vocabulary_path, args.noise_prob, record_options(args),
                             options)
    report_data_sets(made, options.quiet)


if __name__ == "__main__":
    run(main)
