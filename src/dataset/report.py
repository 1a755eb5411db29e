"""What the data set scripts print about the data sets they made: statistics, warnings and totals."""
import sys
from collections.abc import Iterable
from typing import NamedTuple

from src.common.progress import say
from src.dataset.records.info import PERCENTILES, RecordInfo

MAX_UNKNOWN_SHARE = 0.05  # BPE leaves well under 1% unknown; more suggests another vocabulary or other codes


class DataSet(NamedTuple):
    """A complete data set."""

    path: str
    info: RecordInfo
    unchanged: bool  # whether an earlier run made it


def report_data_sets(data_sets: Iterable[DataSet], quiet: bool = False) -> None:
    """Print the statistics of each data set as soon as it is complete, warnings about it, and finally the totals.

    With `quiet`, only warnings and totals are printed.
    """
    count = lines = kept = tokens = 0
    for path, info, unchanged in data_sets:
        if not quiet:
            say(summarize_records(f"{path}: unchanged, skipped" if unchanged else path, info))
        for warning in warnings_about(info):
            say(f"warning: {path}: {warning}", sys.stderr)
        count += 1
        lines += info.lines_read
        kept += info.kept
        tokens += sum(info.tokens.values())
    say(f"{count:,} data set{'s' * (count != 1)}: {lines:,} lines read, {kept:,} kept, {tokens:,} tokens")


def warnings_about(info: RecordInfo) -> list[str]:
    """Return what a user should check before training with a data set or scoring on it."""
    warnings = [
        f"{info.unknown_share(column):.1%} of the tokens (column {column!r}) are <unk>; was the text encoded with "
        f"other BPE codes, or not at all?"
        for column in info.columns
        if info.unknown_share(column) > MAX_UNKNOWN_SHARE
    ]
    for side in ("source", "target"):
        if count := info.flawed.get(f"empty {side}"):
            warnings.append(f"{count:,} pairs have an empty {side}; they are kept, so that record i is line i")
    if count := info.flawed.get("target truncated"):
        warnings.append(f"{count:,} targets were truncated to max_len {info.max_len} and are scored in this form; "
                        f"a larger --max_len keeps them whole")
    if count := sum(info.damaged.values()):
        warnings.append(f"{count:,} lines held undecodable bytes, which were replaced (--errors replace)")
    return warnings


def summarize_records(title: str, info: RecordInfo) -> str:
    """Return the statistics of a data set as a short table below a title."""
    counts = {"lines read": info.lines_read, "kept": info.kept}
    counts |= {f"dropped, {reason}": count for reason, count in sorted(info.dropped.items())}
    counts |= {f"kept, {reason}": count for reason, count in sorted(info.flawed.items())}
    counts |= {f"undecodable bytes, {column}": count for column, count in sorted(info.damaged.items()) if count}
    name_width = max(map(len, counts))
    lines = [f"  {name:<{name_width}} {count:>13,} {count / max(1, info.lines_read):>8.2%}"
             for name, count in counts.items()]
    header = ["column", "tokens", "<unk>", "mean", *(f"{percent}%" for percent in PERCENTILES), "longest"]
    rows = [header, *(_length_row(info, column) for column in info.columns)]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines += ["  " + "  ".join(cell.ljust(width) if place == 0 else cell.rjust(width)
                               for place, (cell, width) in enumerate(zip(row, widths, strict=True))) for row in rows]
    return "\n".join([title, *lines])


def _length_row(info: RecordInfo, column: str) -> list[str]:
    percentiles = info.percentiles.get(column, {})
    return [column, f"{info.tokens[column]:,}", f"{info.unknown_share(column):.2%}", f"{info.mean_length(column):.1f}",
            *(str(percentiles.get(str(percent), "-")) for percent in PERCENTILES), str(info.longest[column])]
