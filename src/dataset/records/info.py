"""The description of a data set: what it holds and how it was made, in a JSON file beside its records."""
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace

from src.common.errors import MassError
from src.common.json_files import describe_error, read_json, take_checksum, write_json
from src.common.named_files import file_named
from src.dataset.records.files import info_path
from src.dataset.records.info_checks import check_description
from src.utils.dictionary import VOCABULARY_ENDING

FORMAT_VERSION = 2
_READ_VERSIONS = (1, 2)  # version 1 lacks `shards`, `min_len`, `damaged` and `percentiles`: their defaults hold for it
_OPTIONAL = "continued_unknown"  # written only if it is not empty; absent in earlier descriptions
COLUMNS = {"sentences": ("tokens",), "pairs": ("source", "target")}
"""The columns of each kind of record; every entry is a sequence of int32 ids that ends with `</s>`."""
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
"""The percentages for which a description holds the length that so many of the sequences do not exceed."""


@dataclass(frozen=True)
class RecordInfo:
    """The content of the JSON file beside the records of a data set.

    Line i of a source file and line i of its target file count as one line.
    """

    kind: str  # "sentences" or "pairs"
    split: str  # "pretrain", "train", "valid" or "test"
    lines_read: int
    kept: int
    dropped: dict[str, int]  # reason -> lines left out ("empty", "too long", "empty source", ...)
    flawed: dict[str, int]  # reason -> pairs that a valid or test set kept ("target truncated", "empty source")
    max_len: int  # the longest sequence allowed, `</s>` included
    tokens: dict[str, int]  # column -> number of tokens, `</s>` included
    unknown: dict[str, int]  # column -> number of tokens that are `<unk>`
    longest: dict[str, int]  # column -> length of the longest sequence, `</s>` included
    checksums: dict[str, int]  # file, by the key that `files_of` gives it (".mindrecord.db") -> its CRC-32C
    masking: dict[str, float]  # {"fragment_ratio": r} for sentences, {"noise_prob": p} for pairs
    vocabulary: dict[str, str | int]  # "file" (a name in the folder of the records), "size", "fingerprint"
    min_len: int = 1  # the shortest sequence allowed, `</s>` included
    damaged: dict[str, int] = field(default_factory=dict)  # column -> lines whose undecodable bytes were replaced
    percentiles: dict[str, dict[str, int]] = field(default_factory=dict)  # column -> percent -> length
    shards: int = 1  # the number of files that the examples are spread over
    continued_unknown: dict[str, str] = field(default_factory=dict)
    """Column -> the `<unk>` that are not the last subwords of their words, as `example:position example:position ...`.
    Known for sets that are scored; the text of a record is made with it."""
    format_version: int = FORMAT_VERSION

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return COLUMNS[self.kind]

    def vocabulary_path(self, record_path: str) -> str:
        """Return the path of the copy of the vocabulary beside the records.

        Raises:
            MassError: the description names a file that is not in the folder of the records.
        """
        return file_named(self.vocabulary["file"], info_path(record_path), "the vocabulary", VOCABULARY_ENDING)

    def mean_length(self, column: str) -> float:
        """Return the mean length of a column's sequences, `</s>` included."""
        return self.tokens[column] / self.kept

    def unknown_share(self, column: str) -> float:
        """Return the share of `<unk>` among a column's tokens, not counting `</s>`."""
        return self.unknown[column] / max(1, self.tokens[column] - self.kept)

    def continued_positions(self, column: str) -> dict[int, set[int]]:
        """Return the places of `continued_unknown` in a column: example -> positions."""
        positions: dict[int, set[int]] = {}
        for place in self.continued_unknown.get(column, "").split():
            example, position = map(int, place.split(":"))
            positions.setdefault(example, set()).add(position)
        return positions

    def of_examples(self, chosen: Sequence[int]) -> "RecordInfo":
        """Return the description for chosen examples; counts of lines and tokens remain those of the whole."""
        continued = {}
        for column in self.continued_unknown:
            positions = self.continued_positions(column)
            continued[column] = _places((number, positions.get(index, ())) for number, index in enumerate(chosen))
        return replace(self, kept=len(chosen), continued_unknown=continued)

    def save(self, record_path: str) -> None:
        """Write the description of the data set `record_path`."""
        content = asdict(self)
        if not content[_OPTIONAL]:
            del content[_OPTIONAL]
        write_json(info_path(record_path), content, checksum=True)

    @classmethod
    def load(cls, record_path: str) -> "RecordInfo":
        """Read the description of the data set `record_path`.

        Raises:
            MassError: the description is missing, damaged or of an unknown format version.
        """
        path = info_path(record_path)
        remake = "make the records again with news_crawl.py, gigaword.py or cornell_dialog.py"
        try:
            content = read_json(path)
            if isinstance(content, dict):
                take_checksum(content, required=False)
        except FileNotFoundError:
            raise MassError(
                f"{record_path} has no description {path} beside it: the file was not made, or not finished, "
                f"by this program's scripts; {remake}"
            ) from None
        except (OSError, ValueError) as error:
            raise MassError(f"{path}: not a description of records ({describe_error(error)}); {remake}") from error
        version = content.get("format_version") if isinstance(content, dict) else None
        if version not in _READ_VERSIONS:
            raise MassError(f"{path}: format version {version!r}, this program reads {_READ_VERSIONS}; {remake}")
        if version == 1:
            content = {"min_len": 1, "damaged": {}, "percentiles": {}, "shards": 1, **content}
        expected = {entry.name for entry in fields(cls)}
        if content.keys() | {_OPTIONAL} != expected or content["kind"] not in list(COLUMNS):
            wrong = ", ".join(sorted((content.keys() | {_OPTIONAL}) ^ expected)) or f"kind {content['kind']!r}"
            raise MassError(f"{path}: not a description of records (wrong: {wrong}); {remake}")
        try:
            check_description(content, COLUMNS[content["kind"]])
        except ValueError as error:
            raise MassError(f"{path}: not a description of records (wrong: {error}); {remake}") from error
        try:
            info = cls(**content)
            for column in info.continued_unknown:
                _ = info.columns.index(column), info.continued_positions(column)
        except (AttributeError, TypeError, ValueError) as error:
            raise MassError(f"{path}: not a description of records (wrong: {_OPTIONAL}); {remake}") from error
        return info


def _places(positions: Iterable[tuple[int, Iterable[int]]]) -> str:
    return text_of_places((example, position) for example, some in positions for position in sorted(some))


def text_of_places(places: Iterable[tuple[int, int]]) -> str:
    """Return examples and positions in the form of `continued_unknown`."""
    return " ".join(f"{example}:{position}" for example, position in places)


def merge_infos(infos: Sequence[RecordInfo]) -> RecordInfo:
    """Return the description of several data sets, alike in kind, split, masking and vocabulary, as one.

    Counts are added up; checksums and percentiles, which cannot be, are left empty.
    """

    def total(name: str) -> dict[str, int]:
        return dict(sum((Counter(getattr(info, name)) for info in infos), Counter()))

    if len(infos) == 1:
        return infos[0]
    continued: dict[str, list[str]] = {}
    first = 0
    for info in infos:
        for column in info.continued_unknown:
            positions = info.continued_positions(column)
            continued.setdefault(column, []).append(_places((first + index, positions[index]) for index in positions))
        first += info.kept
    return replace(
        infos[0],
        lines_read=sum(info.lines_read for info in infos),
        kept=sum(info.kept for info in infos),
        **{name: total(name) for name in ("dropped", "flawed", "damaged", "tokens")},
        unknown={column: sum(info.unknown[column] for info in infos) for column in infos[0].columns},
        longest={column: max(info.longest[column] for info in infos) for column in infos[0].columns},
        max_len=max(info.max_len for info in infos),
        min_len=min(info.min_len for info in infos),
        shards=sum(info.shards for info in infos),
        continued_unknown={column: " ".join(places) for column, places in continued.items()},
        checksums={},
        percentiles={},
    )
