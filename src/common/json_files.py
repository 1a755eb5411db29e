"""JSON files, read with limits, as they may be damaged or come from strangers.

Every malformed text is a ValueError: deep nesting, endless numbers and characters that cannot be written again too.
"""
import json
import math
from collections.abc import Callable
from typing import Any

from crc32c import crc32c

from src.common.files import atomic_output
from src.common.regular_files import read_bounded

MAX_BYTES = 1 << 26
_MAX_DEPTH = 32
_MAX_DIGITS = 40
CHECKSUM = "checksum"
"""The key of the checksum in files that `write_json` writes with one."""

Pairs = list[tuple[str, Any]]


def parse_json(text: str | bytes, pairs_hook: Callable[[Pairs], Any] | None = None, finite: bool = True,
               paths: bool = False) -> Any:
    """Parse JSON.

    Args:
        text: bytes must be UTF-8; a byte-order mark is skipped.
        pairs_hook: as `object_pairs_hook` of the standard library.
        finite: refuse NaN and infinite numbers, which are no JSON although Python reads and writes them.
        paths: texts may be paths that are not UTF-8, in which Python has lone surrogates (PEP 383).

    Raises:
        ValueError: it is malformed; a json.JSONDecodeError if the syntax is wrong.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig")
    try:
        content = json.loads(text, object_pairs_hook=pairs_hook, parse_int=_whole_number)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    _check(content, finite, "surrogateescape" if paths else "strict")
    return content


def read_json(path: str, max_bytes: int = MAX_BYTES, **options: Any) -> Any:
    """Read a JSON file; the options are those of `parse_json`.

    Raises:
        OSError: the file cannot be read, or is not a regular file.
        ValueError: it is too large or malformed.
    """
    return parse_json(read_bounded(path, max_bytes), **options)


def write_json(path: str, content: Any, checksum: bool = False, indent: int | None = 2) -> None:
    """Write a JSON file, completely or not at all; with `checksum`, an object gets one of itself as an entry."""
    if checksum:
        content = {**content, CHECKSUM: checksum_of(content)}
    with atomic_output(path) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        json.dump(content, stream, indent=indent)
        stream.write("\n")


def take_checksum(content: dict[str, Any], required: bool) -> None:
    """Remove the checksum from the object that a file holds, and compare it.

    Args:
        required: whether an object without a checksum is refused. Files of earlier versions have none.

    Raises:
        ValueError: the checksum differs, or is missing.
    """
    if CHECKSUM not in content and not required:
        return
    if content.pop(CHECKSUM, None) != checksum_of(content):
        raise ValueError("its checksum differs: it is damaged, or was changed by hand")


def checksum_of(content: Any) -> int:
    """Return the CRC-32C of an object, whatever the order of its keys and the layout of the file."""
    return crc32c(json.dumps(content, sort_keys=True).encode())


def describe_error(error: Exception) -> str:
    """Return the reason why a file could not be read, for a sentence that names the file."""
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error) if type(error) in (ValueError, json.JSONDecodeError) else f"{type(error).__name__}: {error}"


def _whole_number(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"it has a number of {len(digits)} digits")
    return int(digits)


def _check(content: Any, finite: bool, errors: str) -> None:
    """Raise a ValueError if a parsed object is nested too deeply, or holds a value that is refused."""
    level, depth = [content], 0
    while level:
        if depth > _MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        deeper: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                deeper.extend(value.keys())
                deeper.extend(value.values())
            elif isinstance(value, list | tuple):
                deeper.extend(value)
            elif isinstance(value, str):
                value.isascii() or value.encode(errors=errors)  # a lone surrogate cannot be printed or written
            elif finite and isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"it has the number {value}")
        level, depth = deeper, depth + 1
