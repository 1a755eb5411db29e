"""Writing JSON, in which infinity and "not a number" have no form."""
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from src.common.files import atomic_output

_SURROGATE = re.compile("[\ud800-\udfff]")


def json_text(content: Any, indent: int | None = None) -> str:
    """Return content as JSON; numbers that are not finite become null.

    Characters are not escaped, except for the lone surrogates that Python has in paths that are not UTF-8.
    """
    text = json.dumps(finite(content), ensure_ascii=False, allow_nan=False, indent=indent)
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def write_json_text(path: str, content: Any, indent: int = 2) -> None:
    """Write content as `json_text` gives it to a file, completely or not at all."""
    with atomic_output(path) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        stream.write(json_text(content, indent) + "\n")


def finite(content: Any) -> Any:
    """Return content with None in place of numbers that are not finite, as `json_text` writes it."""
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, Mapping):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite(value) for value in content]
    return content
