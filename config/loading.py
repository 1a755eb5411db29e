"""From a JSON file and `--set` overrides to a checked Config, and back."""
import dataclasses
import difflib
import json
import math
import os
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from config.config import Config
from src.common.errors import UsageError
from src.common.files import require_file
from src.common.json_files import CHECKSUM, describe_error, parse_json, read_json, take_checksum, write_json

_MAX_BYTES = 1 << 20
NODES = {node.name: node.default_factory for node in dataclasses.fields(Config)}


def load_config(path: str, overrides: Iterable[str] = ()) -> Config:
    """Read a configuration file and apply overrides of the form `node.key=value`.

    Keys that the file does not set have their default values. The value of an override is parsed as JSON if
    possible (`3`, `true`), and is plain text otherwise. A checksum, which the configuration of a run folder has, is
    compared; a configuration that a user has written needs none.

    Raises:
        UsageError: the file is not JSON or its checksum differs, a key is unknown (the message names the nearest known
            key), or a value has the wrong type or is not allowed.
    """
    require_file(path, "configuration file")
    try:
        nodes = read_json(path, _MAX_BYTES, pairs_hook=lambda pairs: _refuse_duplicates(path, pairs), finite=False,
                          paths=True)
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}, line {error.lineno}, column {error.colno}: not JSON: {error.msg}") from error
    except ValueError as error:
        raise UsageError(f"{path}: {describe_error(error)}") from error
    _take_checksum(path, nodes)
    try:
        return config_from_dict(nodes, overrides)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def config_from_dict(nodes: Mapping[str, Any], overrides: Iterable[str] = ()) -> Config:
    """Return a checked Config.

    Args:
        nodes: dictionaries of keys by node, as `dataclasses.asdict` makes them of a Config; keys may be missing.
        overrides: as in `load_config`.
    """
    checked = _checked_nodes(nodes)
    for override in overrides:
        node, name, value = _parse_override(override)
        checked.setdefault(node, {})[name] = value
    return Config(**{node: NODES[node](**keys) for node, keys in checked.items()})


def save_config(config: Config, path: str) -> None:
    """Write a configuration as JSON with a checksum, which `load_config` can read."""
    write_json(path, dataclasses.asdict(config), checksum=True)


def _take_checksum(path: str, nodes: Any) -> None:
    if isinstance(nodes, dict):
        try:
            take_checksum(nodes, required=False)
        except ValueError as error:
            raise UsageError(f"{path}: {error}; if you have changed it, remove the entry {CHECKSUM!r} at its end") \
                from error


def _refuse_duplicates(path: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{path}: the key {name!r} occurs twice")
    return dict(pairs)


def _checked_nodes(nodes: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(nodes, Mapping):
        raise UsageError(f"must be an object of nodes ({', '.join(NODES)}), found {type(nodes).__name__}")
    checked = {}
    for node, keys in nodes.items():
        _check_known("node", node, NODES)
        if not isinstance(keys, Mapping):
            raise UsageError(f"{node} must be an object of keys, found {keys!r}")
        checked[node] = {name: _checked_value(node, name, value) for name, value in keys.items()}
    return checked


def _split_override(override: str) -> tuple[str, str, str]:
    name, equals, text = override.partition("=")
    node, dot, name = name.strip().partition(".")
    if not (equals and dot):
        raise UsageError(f"override {override!r} must have the form node.key=value")
    _check_known("node", node, NODES)
    return node, name, text


def _parse_override(override: str) -> tuple[str, str, Any]:
    node, name, text = _split_override(override)
    expected = _types(node).get(name)
    try:
        value = text if expected is str else parse_json(text, finite=False)
    except ValueError:
        value = text
    return node, name, _checked_value(node, name, value)


def paths_of_settings(settings: Iterable[str]) -> list[str]:
    """Return the paths that settings (node.key=value), which must be valid, give to keys that are paths."""
    return [path for node, name, text in map(_split_override, settings) if _is_path(node, name)
            for path in _checked_value(node, name, text).split(",") if path]


def _is_path(node: str, name: str) -> bool:
    return NODES[node].__dataclass_fields__[name].metadata["path"]


def _types(node: str) -> dict[str, type]:
    return typing.get_type_hints(NODES[node])


def _checked_value(node: str, name: str, value: Any) -> Any:
    types = _types(node)
    _check_known("key", name, types, prefix=f"{node}.")
    expected = types[name]
    if expected is float and type(value) is int:
        value = float(value)
    if type(value) is not expected:
        raise UsageError(f"{node}.{name} is {json.dumps(value)}: it must be {_type_name(expected)}, "
                         f"not {_type_name(type(value))}")
    if expected is str and "\0" in value:
        raise UsageError(f"{node}.{name} is {value!r}: it must not hold a NUL character")
    if _is_path(node, name):
        value = ",".join(map(os.path.expanduser, value.split(",")))
    if expected is float and not math.isfinite(value):
        raise UsageError(f"{node}.{name} is {value}: it must be a finite number")
    return value


def _type_name(kind: type) -> str:
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null",
             list: "a list", dict: "an object"}
    return names[kind]


def _check_known(what: str, name: str, known: Iterable[str], prefix: str = "") -> None:
    known = list(known)
    if name in known:
        return
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"did you mean {prefix}{nearest[0]!s}?" if nearest else f"known are {', '.join(known)}"
    raise UsageError(f"unknown {what} {prefix}{name}: {hint}")
