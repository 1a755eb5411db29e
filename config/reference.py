"""The reference of all keys, generated from the fields: `python -m config.reference > docs/configuration.md`."""
import dataclasses
import json
import typing
from collections.abc import Iterator

from config.config import Config, describe_limits


def rows() -> Iterator[tuple[str, str, str, str, str, str]]:
    """Yield (node, key, type, default, allowed, meaning) of every key."""
    for node in dataclasses.fields(Config):
        types = typing.get_type_hints(node.default_factory)
        for entry in dataclasses.fields(node.default_factory):
            yield (node.name, entry.name, types[entry.name].__name__, json.dumps(entry.default),
                   describe_limits(entry.metadata), entry.metadata["meaning"])


def help_text() -> str:
    """All keys for a terminal, one a line."""
    lines = ["configuration keys (override any with --set node.key=value):"]
    for node, name, kind, default, allowed, meaning in rows():
        lines.append(f"  {node}.{name} = {default} ({kind}{', ' + allowed if allowed else ''}): {meaning}")
    return "\n".join(lines)


def markdown() -> str:
    """The reference page."""
    lines = ["# Configuration keys", "",
             "Generated from `config/config.py` by `python -m config.reference > docs/configuration.md`; do not edit.",
             "`--set node.key=value` overrides any key on the command line of `train.py` and `eval.py`.", ""]
    current = None
    for node, name, kind, default, allowed, meaning in rows():
        if node != current:
            summary = {field.name: field.default_factory.__doc__ for field in dataclasses.fields(Config)}[node]
            lines += ["", f"## {node}", "", summary, "", "| key | type | default | allowed | meaning |",
                      "|---|---|---|---|---|"]
            current = node
        lines.append(f"| `{name}` | {kind} | `{default}` | {allowed} | {meaning} |".replace("<", "\\<"))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
