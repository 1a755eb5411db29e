"""From the published corpus to raw text and to encoded text, in subfolders of the output folder."""
import glob
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace

from src.common.arguments import RunOptions
from src.common.errors import MassError
from src.common.progress import say
from src.dataset.cornell.pair_files import data_set_name, other_pair_files
from src.dataset.cornell.split import SplitPlan, split_corpus
from src.dataset.preparation import PairFiles
from src.text.bpe_corpus import encode_corpus
from src.text.conversion import FileSummary
from src.text.tokenization import find_corpus, tokenize_corpus, usable_tokenizer

_RAW, _TOKENIZED, _ENCODED = "raw", "tokenized", "encoded"  # subfolders of the output folder


def write_raw_text(folder: str, output_folder: str, plan: SplitPlan, prefixes: Mapping[str, str],
                   options: RunOptions) -> None:
    """Write the published corpus as raw text, and print what was found and where the text is.

    Args:
        folder: the folder of the published corpus.
        output_folder: the text goes into its subfolder `raw`.
        plan: how the pairs are split.
        prefixes: split -> prefix of its files; other files in `folder` with these prefixes are mentioned.
        options: whether to overwrite finished text.

    Raises:
        MassError: see `split_corpus`; or there is text or a data set of a split that gets no films now.
    """
    raw = os.path.join(output_folder, _RAW)
    _require_no_other_split(output_folder, plan)
    summary, unchanged = split_corpus(folder, raw, plan, options.overwrite)
    say(str(summary))
    if others := other_pair_files(folder, prefixes):
        say(f"not read, because the published corpus is in the same folder: {', '.join(others)}")
    for split in plan.splits:
        files = os.path.join(raw, plan.prefixes[split])
        say(f"{files}.src.txt, .tgt.txt: {summary.pairs[split]:,} pairs{', unchanged' if unchanged else ''}")


def _require_no_other_split(output_folder: str, plan: SplitPlan) -> None:
    """Raise a MassError if the folder holds files of a split that gets no films: these are in other splits now."""
    for split in (split for split in plan.prefixes if split not in plan.splits):
        patterns = [os.path.join(folder, f"{glob.escape(plan.prefixes[split])}.{side}*")
                    for folder in (_RAW, _TOKENIZED, _ENCODED) for side in ("src", "tgt") if plan.prefixes[split]]
        patterns.append(f"{data_set_name(split)}.*")
        found = [path for pattern in patterns
                 for path in sorted(glob.glob(os.path.join(glob.escape(output_folder), pattern)))]
        if found:
            raise MassError(f"{output_folder!r} holds files of an earlier {split} set, whose films are in another set "
                            f"now: choose another --output_folder, or remove them: {' '.join(found)}")


def encode_raw_text(output_folder: str, plan: SplitPlan, codes: str, options: RunOptions) -> list[PairFiles]:
    """Tokenize and encode the raw text; return one data set per split, from which records can be made.

    Raises:
        MassError: there is no tokenizer, or the codes or a file are bad.
    """
    raw, tokenized, encoded = (os.path.join(output_folder, name) for name in (_RAW, _TOKENIZED, _ENCODED))
    options = replace(options, errors="strict")  # this program wrote the text, so that it is valid UTF-8
    _report(tokenize_corpus(find_corpus([raw], tokenized), tokenized, usable_tokenizer("nltk"), options), options)
    _report(encode_corpus(codes, tokenized, encoded, "", options), options)

    def path(split: str, side: str) -> str:
        return os.path.join(encoded, f"{plan.prefixes[split]}.{side}_tokenized_bpe.txt")

    return [PairFiles(data_set_name(split), split, (path(split, "src"),), (path(split, "tgt"),))
            for split in plan.splits]


def _report(summaries: Iterator[FileSummary], options: RunOptions) -> None:
    for summary in summaries:
        if not options.quiet:
            say(str(summary))
