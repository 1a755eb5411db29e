"""What cornell_dialog.py finds in its source folder: pairs of encoded text, or the corpus as published."""
import glob
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace

from src.common.arguments import RunOptions
from src.common.errors import MassError, UsageError
from src.common.files import list_files
from src.common.progress import say
from src.dataset.cornell.split import SplitPlan
from src.dataset.preparation import PairFiles
from src.text.bpe_corpus import encode_corpus
from src.text.conversion import FileSummary
from src.text.tokenization import find_corpus, tokenize_corpus, usable_tokenizer

_RAW, _TOKENIZED, _ENCODED = "raw", "tokenized", "encoded"  # folders in the output folder


def find_pair_files(folder: str, prefixes: Mapping[str, str]) -> list[PairFiles]:
    """The files `<prefix>*src*.txt` and their partners, the name with `tgt` for `src`, as one data set a split.

    Args:
        prefixes: split ("train", "valid", "test") -> prefix of its files; an empty one leaves the split out.

    Raises:
        UsageError: a file belongs to two splits.
        MassError: no files, or one without its partner.
    """
    data_sets, owners = [], {}
    for split, prefix in prefixes.items():
        if not prefix:
            continue
        sources = list_files(folder, f"{glob.escape(prefix)}*src*.txt", f"source folder (--{split}_prefix {prefix})")
        targets = [_partner(source, prefix, "src", "tgt") for source in sources]
        for target in glob.glob(os.path.join(glob.escape(folder), f"{glob.escape(prefix)}*tgt*.txt")):
            _partner(target, prefix, "tgt", "src")
        for source in sources:
            if owners.setdefault(source, split) != split:
                raise UsageError(f"{source!r} belongs to {owners[source]} and to {split}: choose prefixes that "
                                 f"keep the splits apart")
        data_sets.append(PairFiles(f"cornell_{split}_dataset", split, tuple(sources), tuple(targets)))
    return data_sets


def other_pair_files(folder: str, prefixes: Mapping[str, str]) -> list[str]:
    """The pair files that lie beside the corpus as published, which takes precedence."""
    patterns = (os.path.join(glob.escape(folder), f"{glob.escape(prefix)}*{side}*.txt")
                for prefix in prefixes.values() if prefix for side in ("src", "tgt"))
    return sorted({path for pattern in patterns for path in glob.glob(pattern)})


def raw_folder(output_folder: str) -> str:
    """Where the raw text of the published corpus goes."""
    return os.path.join(output_folder, _RAW)


def encode_published_corpus(
    output_folder: str, plan: SplitPlan, codes: str, options: RunOptions
) -> list[PairFiles]:
    """Tokenize and encode the raw text of the published corpus; returns one data set a split, to be made into records.

    Raises:
        MassError: there is no tokenizer, or the codes or a file are bad.
    """
    raw, tokenized, encoded = (os.path.join(output_folder, name) for name in (_RAW, _TOKENIZED, _ENCODED))
    options = replace(options, errors="strict")  # the text is ours
    _report(tokenize_corpus(find_corpus([raw], tokenized), tokenized, usable_tokenizer("nltk"), options), options)
    _report(encode_corpus(codes, tokenized, encoded, "", options), options)

    def path(split: str, side: str) -> str:
        return os.path.join(encoded, f"{plan.prefixes[split]}.{side}_tokenized_bpe.txt")

    return [PairFiles(f"cornell_{split}_dataset", split, (path(split, "src"),), (path(split, "tgt"),))
            for split in plan.splits]


def _report(summaries: Iterator[FileSummary], options: RunOptions) -> None:
    for summary in summaries:
        if not options.quiet:
            say(str(summary))


def _partner(path: str, prefix: str, old: str, new: str) -> str:
    """The file whose name has `new` where that of `path` has `old`, after the prefix; it must exist."""
    folder, name = os.path.split(path)
    partner = os.path.join(folder, prefix + name.removeprefix(prefix).replace(old, new, 1))
    if not os.path.isfile(partner):
        raise MassError(f"{path!r} has no partner: there is no {partner!r}")
    return partner
