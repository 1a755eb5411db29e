"""What cornell_dialog.py finds in its source folder: pairs of encoded text, or the corpus as published."""
import glob
import os
import shlex
from collections.abc import Mapping

from src.dataset.cornell_corpus import write_split_text
from src.dataset.preparation import PairFiles
from src.utils.errors import MassError, UsageError
from src.utils.files import list_files


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


def split_published_corpus(
    folder: str, output_folder: str, prefixes: Mapping[str, str], vocabulary_path: str | None, script_folder: str
) -> None:
    """Pair and split the published corpus into `<output_folder>/raw`, and print what to do with the text.

    The text is raw: it must be tokenized and encoded, with the BPE codes of the vocabulary, before records can be made.
    """
    if not all(prefixes.values()) or len(set(prefixes.values())) < len(prefixes):
        given = ", ".join(f"--{split}_prefix {prefix!r}" for split, prefix in prefixes.items())
        raise UsageError(f"the published corpus is split in three, which needs three different prefixes; not {given}")
    raw, tokenized, encoded = (os.path.join(output_folder, name) for name in ("raw", "tokenized", "encoded"))
    counts = write_split_text(folder, raw, prefixes)
    for split, prefix in prefixes.items():
        print(f"{os.path.join(raw, prefix)}.src.txt, .tgt.txt: {counts[split]:,} pairs ({split})")
    print(f"left out because one side is empty: {counts['empty']:,}\n")
    flags = [item for split, prefix in prefixes.items() for item in (f"--{split}_prefix", prefix)]
    print("The text is raw. Next, with the codes and the vocabulary of your model:")
    for script, *arguments in (
        ("tokenize_corpus.py", "--corpus_folder", raw, "--output_folder", tokenized),
        ("apply_bpe_encoding.py", "--codes", "vocab/all.bpe.codes", "--src_folder", tokenized,
         "--output_folder", encoded),
        ("cornell_dialog.py", "--src_folder", encoded, "--existed_vocab", vocabulary_path or "vocab/all_en.dict.bin",
         *flags, "--output_folder", output_folder),
    ):  # fmt: skip
        print("  " + shlex.join(["python", os.path.join(script_folder, script), *arguments]))


def _partner(path: str, prefix: str, old: str, new: str) -> str:
    """The file whose name has `new` where that of `path` has `old`, after the prefix; it must exist."""
    folder, name = os.path.split(path)
    partner = os.path.join(folder, prefix + name.removeprefix(prefix).replace(old, new, 1))
    if not os.path.isfile(partner):
        raise MassError(f"{path!r} has no partner: there is no {partner!r}")
    return partner
