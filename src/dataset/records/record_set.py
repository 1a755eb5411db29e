"""Data sets on disk: written from a loader, opened as ragged arrays, in either format."""
from dataclasses import dataclass

from src.common.errors import MassError
from src.common.files import require_file
from src.common.ragged import Ragged, RaggedArray, chain
from src.dataset.example_loader import ExampleLoader
from src.dataset.records.files import files_of, find_data_sets, info_path
from src.dataset.records.index import open_index
from src.dataset.records.info import RecordInfo, merge_infos
from src.dataset.records.reader import read_columns
from src.dataset.records.writer import DataSetPlan, write_data_sets
from src.utils.dictionary import Dictionary


@dataclass(frozen=True)
class RecordSet:
    """The examples of one or several data sets, mapped into memory."""

    info: RecordInfo
    columns: dict[str, Ragged]  # "tokens"; or "source" and "target"
    paths: tuple[str, ...]  # the data sets, as `record_files` names them

    def __len__(self) -> int:
        return self.info.kept

    @property
    def vocabulary_path(self) -> str:
        """The copy of the vocabulary beside the (first) data set."""
        return self.info.vocabulary_path(self.paths[0])


def write_records(path: str, loader: ExampleLoader, split: str, masking: dict[str, float], shards: int = 1,
                  progress: bool = True) -> RecordInfo:
    """Write one data set in this process; see `record_writer.DataSetPlan` for the arguments, and `write_data_sets`."""
    (info,) = write_data_sets([DataSetPlan(path, loader, split, masking, shards)], quiet=not progress)
    return info


def load_records(spec: str, what: str = "data set") -> RecordSet:
    """Open data sets.

    Quick and without memory if their index is beside them (see `record_index`); otherwise the records are read and
    checked, and the index is made.

    Args:
        spec: A file, several separated by commas, a glob, or a folder; .tfrecord and .mindrecord files are taken. A
            data set in shards goes by its name without the shard's number, too.
        what: The role of the data, for error messages; for example a configuration key.

    Raises:
        MassError: no such file; a file without its description, damaged, or not as described; a shard that is missing;
            or data sets that differ in kind, split, masking or vocabulary and are therefore no one data set.
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
        raise MassError(f"{path}: its description {info_path(path)} is of other files ({', '.join(info.checksums)}); "
                        f"make the records again")
    return open_index(path, info) or read_columns(path, info)


def _require_alike(what: str, first_path: str, first: RecordInfo, path: str, info: RecordInfo) -> None:
    """Raise unless two data sets can be parts of one."""
    for name in ("kind", "split", "masking"):
        ours, theirs = getattr(first, name), getattr(info, name)
        if ours != theirs:
            raise MassError(f"{what}: {first_path} and {path} are not of one data set: their {name} is {ours!r} and "
                            f"{theirs!r}; name the files to read")
    if first.vocabulary["fingerprint"] != info.vocabulary["fingerprint"]:
        one, other = (Dictionary.load_from_persisted_dict(info.vocabulary_path(path))
                      for path, info in ((first_path, first), (path, info)))
        raise MassError(f"{what}: {first_path} and {path} were made with different vocabularies "
                        f"({one.describe_difference(other)})")
