"""The source and target files in the source folder of cornell_dialog.py."""
import glob
import os
from collections.abc import Mapping

from src.common.errors import MassError, UsageError
from src.common.files import list_files
from src.dataset.preparation import PairFiles


def data_set_name(split: str) -> str:
    """Return the name of the data set of a split, without its ending."""
    return f"cornell_{split}_dataset"


def find_pair_files(folder: str, prefixes: Mapping[str, str]) -> list[PairFiles]:
    """Return the files `<prefix>*src*.txt`, each with its target file, as one data set per split.

    The name of the target file is that of the source file with `tgt` instead of `src`.

    Args:
        folder: the folder of the files.
        prefixes: split ("train", "valid", "test") -> prefix of its files; an empty prefix leaves the split out.

    Raises:
        UsageError: a file belongs to two splits.
        MassError: a split has no file, or a file has no partner.
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
        data_sets.append(PairFiles(data_set_name(split), split, tuple(sources), tuple(targets)))
    return data_sets


def other_pair_files(folder: str, prefixes: Mapping[str, str]) -> list[str]:
    """Return the source and target files beside the published corpus, which are not used because it is there."""
    patterns = (os.path.join(glob.escape(folder), f"{glob.escape(prefix)}*{side}*.txt")
                for prefix in prefixes.values() if prefix for side in ("src", "tgt"))
    return sorted({path for pattern in patterns for path in glob.glob(pattern)})


def _partner(path: str, prefix: str, old: str, new: str) -> str:
    """Return the file whose name has `new` instead of the first `old` after the prefix.

    Raises:
        MassError: there is no such file.
    """
    folder, name = os.path.split(path)
    partner = os.path.join(folder, prefix + name.removeprefix(prefix).replace(old, new, 1))
    if not os.path.isfile(partner):
        raise MassError(f"{path!r} has no partner: there is no {partner!r}")
    return partner
