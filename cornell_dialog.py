"""Make the data sets of Cornell movie dialogs (utterance -> response).

--src_folder holds either of two things:

BPE-encoded text: files <prefix>*src*.txt, each with its partner <prefix>*tgt*.txt (the name with tgt for src), for
each of the three prefixes. They become cornell_{train,valid,test}_dataset.<format>. Training pairs with an empty or too
long side are dropped and counted. Test and valid sets keep every pair, so that record i is line i: sides that are too
long are truncated, and empty ones kept, and both are counted.

The corpus as published (movie_lines.txt, movie_conversations.txt): each two consecutive lines of a conversation become
a pair, and the pairs are split 80/10/10 into train, valid and test, film by film (no film is in two splits). They are
written as raw text into the folder raw in --output_folder. With --codes, that text is tokenized and encoded, and
becomes the same data sets in the same run.
"""
import os
from argparse import ArgumentParser, Namespace

from src.common.arguments import HelpFormatter, RunOptions, add_run_flags, run_options
from src.common.errors import UsageError, run
from src.common.files import require_file
from src.dataset.cornell.corpus import is_published_corpus
from src.dataset.cornell.preparation import encode_published_corpus, find_pair_files, other_pair_files, raw_folder
from src.dataset.cornell.split import SPLIT_SHARES, SplitPlan, parse_shares, split_corpus
from src.dataset.inspection import inspect_if_asked, inspection_flags
from src.dataset.options import add_record_flags, record_options
from src.dataset.preparation import choose_vocabulary, make_pair_records, report_data_sets


def parse_arguments() -> Namespace:
    parser = ArgumentParser(description=__doc__, formatter_class=HelpFormatter, parents=[inspection_flags()])
    parser.add_argument("--src_folder", required=True, help="folder of encoded text, or of the corpus as published")
    parser.add_argument("--existed_vocab",
                        help="vocabulary (.dict.bin), that of the pre-trained model; needed for records")
    for split in ("train", "test", "valid"):
        parser.add_argument(f"--{split}_prefix", default=split,
                            help=f"prefix of the names of the {split} files; an empty one ('') leaves the set out")
    parser.add_argument("--noise_prob", type=float, default=0.0,
                        help="probability that a source word is masked in training, drawn anew for each batch")
    parser.add_argument("--output_folder", required=True, help="folder for the record files, or for the split text")
    published = parser.add_argument_group("the corpus as published")
    published.add_argument("--codes", help="BPE codes of the vocabulary: go on from raw text to the record files")
    published.add_argument("--split", default=",".join(map(str, SPLIT_SHARES.values())),
                           help="shares of the pairs for train, valid and test, of whole films; 0 leaves a set out")
    published.add_argument("--split_seed", type=int, default=0, help="another number chooses other films")
    add_record_flags(parser)
    add_run_flags(parser)
    return parser.parse_args()


def split_published_corpus(args: Namespace, prefixes: dict[str, str], options: RunOptions) -> SplitPlan:
    """Write the corpus as raw text, and print what was found and where it is."""
    plan = SplitPlan(prefixes, parse_shares(args.split), args.split_seed)
    raw = raw_folder(args.output_folder)
    summary, unchanged = split_corpus(args.src_folder, raw, plan, options.overwrite)
    print(summary)
    if others := other_pair_files(args.src_folder, prefixes):
        print(f"not read, because the published corpus lies beside them: {', '.join(others)}")
    for split in plan.splits:
        files = os.path.join(raw, plan.prefixes[split])
        print(f"{files}.src.txt, .tgt.txt: {summary.pairs[split]:,} pairs{', unchanged' if unchanged else ''}")
    return plan


def main() -> None:
    if inspect_if_asked():
        return
    args = parse_arguments()
    prefixes = {split: getattr(args, f"{split}_prefix") for split in ("train", "valid", "test")}
    options = run_options(args)
    published = is_published_corpus(args.src_folder)
    if args.codes and not published:
        raise UsageError(f"--codes is for the corpus as published, and {args.src_folder!r} does not hold that; "
                         f"encode other text with apply_bpe_encoding.py")
    if published and not args.codes:
        split_published_corpus(args, prefixes, options)
        print("this is raw text; for record files give --codes and --existed_vocab, those of your model, too")
        return
    if not args.existed_vocab:
        raise UsageError("give --existed_vocab, the vocabulary the text is to be written in")
    vocabulary_path = choose_vocabulary(args.existed_vocab, None, args.output_folder)
    if published:
        require_file(args.codes, "BPE codes")
        plan = split_published_corpus(args, prefixes, options)
        data_sets = encode_published_corpus(args.output_folder, plan, args.codes, options)
    else:
        data_sets = find_pair_files(args.src_folder, prefixes)
    made = make_pair_records(data_sets, args.output_folder, vocabulary_path, args.noise_prob, record_options(args),
                             options)
    report_data_sets(made, options.quiet)


if __name__ == "__main__":
    run(main)
