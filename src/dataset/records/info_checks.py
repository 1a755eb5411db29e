"""What the description of a data set may hold; it may have been damaged, or come from a stranger."""
import re
from collections.abc import Callable, Mapping
from typing import Any

from src.dataset.records.files import MAX_SHARDS

_MAX_COUNT = 1 << 50
_FINGERPRINT = re.compile("[0-9a-f]{64}")


def check_description(content: Mapping[str, Any], columns: tuple[str, ...]) -> None:
    """Check the values of a description.

    Raises:
        ValueError: one is not possible; the message names the entry.
    """
    for name, valid in _CHECKS.items():
        if name in content and not valid(content[name]):
            raise ValueError(f"its {name} is {ascii(content[name])[:100]}")
    for name in ("tokens", "unknown", "longest"):
        if content[name].keys() != set(columns):
            raise ValueError(f"its {name} is not of the columns {', '.join(columns)}")
    if not 1 <= content["shards"] <= min(MAX_SHARDS, content["kept"]):
        raise ValueError(f"{content['kept']} examples in {content['shards']} shards")
    if min(content["tokens"].values()) < content["kept"]:
        raise ValueError("it has fewer tokens than examples")


def _is_count(value: Any, low: int = 0, high: int = _MAX_COUNT) -> bool:
    return type(value) is int and low <= value <= high


def _is_counts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_count, value.values()))


def _is_masking(value: Any) -> bool:
    return (isinstance(value, dict) and len(value) == 1 and {"fragment_ratio", "noise_prob"} >= value.keys()
            and all(type(share) in (int, float) and 0 <= share <= 1 for share in value.values()))


def _is_vocabulary(value: Any) -> bool:
    """Whether it describes a vocabulary; its file is checked where it is used."""
    return (isinstance(value, dict) and value.keys() == {"file", "size", "fingerprint"}
            and _is_count(value["size"], 5, 1 << 31)
            and isinstance(value["fingerprint"], str) and bool(_FINGERPRINT.fullmatch(value["fingerprint"])))


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "split": lambda value: value in ("pretrain", "train", "valid", "test"),
    **dict.fromkeys(("lines_read", "kept", "max_len", "min_len"), _is_count),
    **dict.fromkeys(("dropped", "flawed", "damaged", "tokens", "unknown", "longest", "checksums"), _is_counts),
    "masking": _is_masking,
    "vocabulary": _is_vocabulary,
    "percentiles": lambda value: isinstance(value, dict) and all(map(_is_counts, value.values())),
    "shards": _is_count,
}
