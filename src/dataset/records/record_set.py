"""Opens data sets of either format as ragged arrays."""
from dataclasses import dataclass

from src.common.errors import MassError
from src.common.files import require_file
from src.common.ragged import Ragged, RaggedArray, chain
from src.dataset.records.files import files_of, find_data_sets, info_path
from src.dataset.records.index import open_index
from src.dataset.records.info import RecordInfo, merge_infos
from src.dataset.records.reader import read_columns
from src.utils.dictionary import Dictionary


@dataclass(frozen=True)
class RecordSet:
    """The examples of one or several data sets, mapped into memory where possible."""

    info: RecordInfo
    columns: dict[str, Ragged]  # "tokens" of sentences; "source" and "target" of pairs
    paths: tuple[str, ...]  # the data sets, named as in src/dataset/records/files.py

    def __len__(self) -> int:
        """Return the number of examples."""
        return self.info.kept

    @property
    def vocabulary_path(self) -> str:
        """The path of the copy of the vocabulary beside the first data set."""
        return self.info.vocabulary_path(self.paths[0])

    def load_vocabulary(self) -> Dictionary:
        """Load the copy of the vocabulary beside the first data set.

        Raises:
            MassError: it is missing or damaged, or is not the vocabulary that the records were made with.
        """
        return _load_vocabulary(self.paths[0], self.info)


def load_records(spec: str, what: str = "data set") -> RecordSet:
    """Open one or several data sets as one.

    If a valid index is beside the records, it is mapped into memory, which takes no time and little memory. Otherwise
    the records are read and checked, and the index is made.

    Args:
        spec: a file, several files separated by commas, a glob, or a folder with .tfrecord or .mindrecord files. A data
            set in several shards may also be given by its name without the number of the shard.
        what: the role of the data, for error messages; for example a configuration key.

    Raises:
        MassError: a file or a shard is missing, has no description, is damaged or does not fit its description; or
            the data sets differ in kind, split, masking or vocabulary and cannot be used as one.
    """
    paths = find_data_sets(spec, what)
    infos = [RecordInfo.load(path) for path in paths]
    for path, info in zip(paths[1:], infos[1:], strict=True):
        _require_alike(what, paths[0], infos[0], path, info)
    parts = [_open_columns(path, info) for path, info in zip(paths, infos, strict=True)]
    columns = {name: chain([part[name] for part in parts]) for name in infos[0].columns}
    return RecordSet(merge_infos(infos), columns, tuple(paths))


def _open_columns(path: str, info: RecordInfo) -> dict[str, RaggedArray]:
    files = files_of(path, info.shards)
    for file in files.values():
        require_file(file, "record file")
    if files.keys() != info.checksums.keys():
        raise MassError(f"{path}: its description {info_path(path)} is for other files ({', '.join(info.checksums)}); "
                        f"make the records again")
    return open_index(path, info) or read_columns(path, info)


def _require_alike(what: str, first_path: str, first: RecordInfo, path: str, info: RecordInfo) -> None:
    """Raise a MassError unless two data sets can be used as one."""
    for name in ("kind", "split", "masking"):
        ours, theirs = getattr(first, name), getattr(info, name)
        if ours != theirs:
            raise MassError(f"{what}: {first_path} and {path} cannot be used as one data set: their {name} is {ours!r} "
                            f"and {theirs!r}; name the files to read")
    if first.vocabulary["fingerprint"] != info.vocabulary["fingerprint"]:
        one, other = (_load_vocabulary(path, info) for path, info in ((first_path, first), (path, info)))
        raise MassError(f"{what}: {first_path} and {path} were made with different vocabularies "
                        f"({one.describe_difference(other)})")


def _load_vocabulary(path: str, info: RecordInfo) -> Dictionary:
    vocabulary_path = info.vocabulary_path(path)
    vocabulary = Dictionary.load_from_persisted_dict(vocabulary_path)
    described = info.vocabulary["size"], info.vocabulary["fingerprint"]
    if (len(vocabulary), vocabulary.fingerprint) != described:
        raise MassError(f"{vocabulary_path}: not the vocabulary that {path} was made with: it has {len(vocabulary)} "
                        f"tokens and the fingerprint {vocabulary.fingerprint[:12]}, but {info_path(path)} says "
                        f"{described[0]} tokens and {str(described[1])[:12]}; restore the file, or make the records "
                        f"again")
    return vocabulary
