"""Writing JSON, in which infinity and "not a number" have no form."""
import json
import math
from collections.abc import Mapping
from typing import Any


def json_text(content: Any, indent: int | None = None) -> str:
    """Return content as JSON; numbers that are not finite become null, and characters are not escaped."""
    return json.dumps(finite(content), ensure_ascii=False, allow_nan=False, indent=indent)


def finite(content: Any) -> Any:
    """Return content with None in place of numbers that are not finite, as `json_text` writes it."""
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, Mapping):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite(value) for value in content]
    return content
