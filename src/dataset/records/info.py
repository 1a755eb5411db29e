"""What a data set holds and how it came about: the JSON beside its records."""
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace

import numpy as np

from src.common.errors import MassError
from src.common.files import atomic_output
from src.dataset.records.files import info_path

FORMAT_VERSION = 2
_READ_VERSIONS = (1, 2)  # version 1 had neither shards nor `min_len`, `damaged`, `percentiles`: their defaults are true
COLUMNS = {"sentences": ("tokens",), "pairs": ("source", "target")}
"""The columns of each kind of record; every entry is a sequence of int32 ids that ends with `</s>`."""
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)


@dataclass(frozen=True)
class RecordInfo:
    """The JSON beside the records of a data set; dictionaries go by reason, or by column.

    Lines are counted, not examples, where it says lines: a pair is a line of two files.
    """

    kind: str  # "sentences" or "pairs"
    split: str  # "pretrain", "train", "valid" or "test"
    lines_read: int
    kept: int
    dropped: dict[str, int]  # reason -> lines left out ("empty", "too long", "empty source", ...)
    flawed: dict[str, int]  # reason -> pairs of a valid or test set that were kept ("target truncated", "empty source")
    max_len: int  # longest sequence allowed, `</s>` included
    tokens: dict[str, int]  # column -> ids, `</s>` included
    unknown: dict[str, int]  # column -> how many of them are `<unk>`
    longest: dict[str, int]  # column -> longest sequence, `</s>` included
    checksums: dict[str, int]  # file, as `record_files.files_of` names it (".mindrecord.db") -> its CRC-32C
    masking: dict[str, float]  # {"fragment_ratio": r} of sentences, {"noise_prob": p} of pairs
    vocabulary: dict[str, str | int]  # "file" (a name in the folder of the records), "size", "fingerprint"
    min_len: int = 1  # shortest sequence allowed, `</s>` included
    damaged: dict[str, int] = field(default_factory=dict)  # column -> lines with undecodable bytes, which were replaced
    percentiles: dict[str, dict[str, int]] = field(default_factory=dict)  # column -> percent -> length
    shards: int = 1  # files that the examples are spread over
    format_version: int = FORMAT_VERSION

    @property
    def columns(self) -> tuple[str, ...]:
        return COLUMNS[self.kind]

    def vocabulary_path(self, record_path: str) -> str:
        """The copy of the vocabulary beside the records."""
        return os.path.join(os.path.dirname(record_path), str(self.vocabulary["file"]))

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
        if version not in _READ_VERSIONS:
            raise MassError(f"{path}: format version {version!r}, this program reads {_READ_VERSIONS}; {remake}")
        if version == 1:
            content = {"min_len": 1, "damaged": {}, "percentiles": {}, "shards": 1, **content}
        expected = {entry.name for entry in fields(cls)}
        if content.keys() != expected or content["kind"] not in tuple(COLUMNS):
            wrong = ", ".join(sorted(content.keys() ^ expected)) or f"kind {content['kind']!r}"
            raise MassError(f"{path}: not a description of records (wrong: {wrong}); {remake}")
        return cls(**content)


def merge_infos(infos: Sequence[RecordInfo]) -> RecordInfo:
    """The description of several files of one kind, split, masking and vocabulary as one data set.

    Counts add up; checksums and percentiles do not, and are left out.
    """

    def total(name: str) -> dict[str, int]:
        return dict(sum((Counter(getattr(info, name)) for info in infos), Counter()))

    if len(infos) == 1:
        return infos[0]
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
        checksums={},
        percentiles={},
    )


def format_counts(counts: Mapping[str, int]) -> str:
    """Counts by reason on one line: `too long 12, empty 3`."""
    return ", ".join(f"{reason} {count:,}" for reason, count in sorted(counts.items())) or "none"


def percentile_lengths(histogram: np.ndarray) -> dict[str, int]:
    """The shortest length that `PERCENTILES` of the sequences do not exceed; `histogram`[l] have length l."""
    reached = np.cumsum(histogram)
    return {str(percent): int(np.searchsorted(reached, percent / 100 * reached[-1])) for percent in PERCENTILES}


def summarize_records(title: str, info: RecordInfo) -> str:
    """A short table of an info's numbers, for people."""
    counts = {"lines read": info.lines_read, "kept": info.kept}
    counts |= {f"dropped, {reason}": count for reason, count in sorted(info.dropped.items())}
    counts |= {f"kept, {reason}": count for reason, count in sorted(info.flawed.items())}
    counts |= {f"undecodable bytes, {column}": count for column, count in sorted(info.damaged.items()) if count}
    name_width = max(map(len, counts))
    lines = [f"  {name:<{name_width}} {count:>13,} {count / max(1, info.lines_read):>8.2%}"
             for name, count in counts.items()]
    header = ["column", "symbols", "<unk>", "mean", *(f"{percent}%" for percent in PERCENTILES), "longest"]
    rows = [header, *(_length_row(info, column) for column in info.columns)]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines += ["  " + "  ".join(cell.ljust(width) if place == 0 else cell.rjust(width)
                               for place, (cell, width) in enumerate(zip(row, widths, strict=True))) for row in rows]
    return "\n".join([title, *lines])


def _length_row(info: RecordInfo, column: str) -> list[str]:
    percentiles = info.percentiles.get(column, {})
    return [column, f"{info.tokens[column]:,}", f"{info.unknown_share(column):.2%}", f"{info.mean_length(column):.1f}",
            *(str(percentiles.get(str(percent), "-")) for percent in PERCENTILES), str(info.longest[column])]
