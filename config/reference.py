"""The reference of all keys, generated from config.py: `python -m config.reference > docs/configuration.md`."""
import dataclasses
import itertools
import json
import typing
from collections.abc import Iterator
from typing import NamedTuple

from config.config import Config, describe_limits


class Row(NamedTuple):
    """One key in the reference."""

    node: str
    key: str
    kind: str  # name of the type
    default: str  # as JSON
    allowed: str  # "" if all values of the type are
    resume: str  # FIXED or MAY_CHANGE
    meaning: str


def rows() -> Iterator[Row]:
    """Yield a row for each key, in the order of the configuration."""
    for node in dataclasses.fields(Config):
        types = typing.get_type_hints(node.default_factory)
        for entry in dataclasses.fields(node.default_factory):
            yield Row(node.name, entry.name, types[entry.name].__name__, json.dumps(entry.default),
                      describe_limits(entry.metadata), entry.metadata["resume"], entry.metadata["meaning"])


def help_text() -> str:
    """Return the description of all keys for a terminal, one key per line."""
    lines = ["configuration keys (override any with --set node.key=value):"]
    for row in rows():
        limits = f", {row.allowed}" if row.allowed else ""
        lines.append(f"  {row.node}.{row.key} = {row.default} ({row.kind}{limits}): {row.meaning}")
    return "\n".join(lines)


def markdown() -> str:
    """Return the reference page."""
    lines = ["# Configuration keys", "",
             "Generated from `config/config.py` by `python -m config.reference > docs/configuration.md`; do not edit.",
             "`--set node.key=value` overrides any key on the command line of `train.py` and `eval.py`.", "",
             "The column *on resume* says whether a run may be continued with another value (`train.py --resume`).", ""]
    summaries = {node.name: node.default_factory.__doc__ for node in dataclasses.fields(Config)}
    for node, keys in itertools.groupby(rows(), key=lambda row: row.node):
        lines += ["", f"## {node}", "", summaries[node], "",
                  "| key | type | default | allowed | on resume | meaning |", "|---|---|---|---|---|---|"]
        lines += [f"| `{row.key}` | {row.kind} | `{row.default}` | {row.allowed} | {row.resume} | {row.meaning} |"
                  .replace("<", "\\<") for row in keys]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
