"""What a file of records holds and how it came about: the JSON beside it."""
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace

from src.utils.errors import MassError
from src.utils.files import atomic_output

FORMAT_VERSION = 1
COLUMNS = {"sentences": ("tokens",), "pairs": ("source", "target")}
"""The columns of each kind of record; every entry is a sequence of int32 ids that ends with `</s>`."""


@dataclass(frozen=True)
class RecordInfo:
    """The JSON beside a file of records; dictionaries go by reason, or by column."""

    kind: str  # "sentences" or "pairs"
    split: str  # "pretrain", "train", "valid" or "test"
    lines_read: int
    kept: int
    dropped: dict[str, int]  # reason -> lines left out ("empty", "too long", "source too long", ...)
    flawed: dict[str, int]  # reason -> pairs of a valid or test set that were kept ("target truncated", "empty source")
    max_len: int  # longest sequence allowed, `</s>` included
    tokens: dict[str, int]  # column -> ids, `</s>` included
    unknown: dict[str, int]  # column -> how many of them are `<unk>`
    longest: dict[str, int]  # column -> longest sequence, `</s>` included
    checksums: dict[str, int]  # ending (".tfrecord", ".mindrecord", ".mindrecord.db") -> CRC-32C of that file
    masking: dict[str, float]  # {"fragment_ratio": r} of sentences, {"noise_prob": p} of pairs
    vocabulary: dict[str, str | int]  # "file" (a name in the folder of the records), "size", "fingerprint"
    format_version: int = FORMAT_VERSION

    @property
    def columns(self) -> tuple[str, ...]:
        return COLUMNS[self.kind]

    def mean_length(self, column: str) -> float:
        """Mean length of a column's sequences, `</s>` included."""
        return self.tokens[column] / self.kept

    def unknown_share(self, column: str) -> float:
        """Share of `<unk>` among a column's symbols, `</s>` not counted."""
        return self.unknown[column] / max(1, self.tokens[column] - self.kept)

    def save(self, record_path: str) -> None:
        """Write the JSON beside the record file."""
        with atomic_output(info_path(record_path)) as temporary, open(temporary, "w", encoding="utf-8") as stream:
            json.dump(asdict(self), stream, indent=2)
            stream.write("\n")

    @classmethod
    def load(cls, record_path: str) -> "RecordInfo":
        """Read the JSON beside the record file.

        Raises:
            MassError: it is missing, damaged or of another version.
        """
        path = info_path(record_path)
        remake = "make the records again with news_crawl.py, gigaword.py or cornell_dialog.py"
        try:
            with open(path, encoding="utf-8") as stream:
                content = json.load(stream)
        except FileNotFoundError:
            raise MassError(
                f"{record_path} has no description {path} beside it: the file was not made, or not finished, "
                f"by this program's scripts; {remake}"
            ) from None
        except ValueError as error:
            raise MassError(f"{path}: not a description of records ({error}); {remake}") from error
        version = content.get("format_version") if isinstance(content, dict) else None
        if version != FORMAT_VERSION:
            raise MassError(f"{path}: format version {version!r}, this program reads {FORMAT_VERSION}; {remake}")
        expected = {field.name for field in fields(cls)}
        if content.keys() != expected or content["kind"] not in tuple(COLUMNS):
            wrong = ", ".join(sorted(content.keys() ^ expected)) or f"kind {content['kind']!r}"
            raise MassError(f"{path}: not a description of records (wrong: {wrong}); {remake}")
        return cls(**content)


def info_path(record_path: str) -> str:
    """Where the description of a record file is."""
    return record_path + ".json"


def merge_infos(infos: Sequence[RecordInfo]) -> RecordInfo:
    """The description of several files of one kind, split, masking and vocabulary as one data set; counts add up."""

    def total(name: str) -> dict[str, int]:
        return dict(sum((Counter(getattr(info, name)) for info in infos), Counter()))

    if len(infos) == 1:
        return infos[0]
    return replace(
        infos[0],
        lines_read=sum(info.lines_read for info in infos),
        kept=sum(info.kept for info in infos),
        **{name: total(name) for name in ("dropped", "flawed", "tokens")},
        unknown={column: sum(info.unknown[column] for info in infos) for column in infos[0].columns},
        longest={column: max(info.longest[column] for info in infos) for column in infos[0].columns},
        max_len=max(info.max_len for info in infos),
        checksums={},  # a checksum belongs to one file
    )


def format_counts(counts: Mapping[str, int]) -> str:
    """Counts by reason on one line: `too long 12, empty 3`."""
    return ", ".join(f"{reason} {count:,}" for reason, count in sorted(counts.items())) or "none"


def summarize(title: str, info: RecordInfo) -> str:
    """A short table of an info's numbers, for people."""

    lines = [title, f"  lines read {info.lines_read:,}, kept {info.kept:,}, dropped: {format_counts(info.dropped)}"]
    if info.flawed:
        lines.append(f"  kept nevertheless: {format_counts(info.flawed)}")
    lines.extend(
        f"  {column:<7} {info.tokens[column]:>12,} symbols, mean length {info.mean_length(column):.1f}, "
        f"longest {info.longest[column]}, <unk> {info.unknown_share(column):.2%}"
        for column in info.columns
    )
    return "\n".join(lines)
