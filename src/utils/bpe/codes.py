"""Codes of byte-pair encoding, as subword-nmt learns them."""
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from src.common.errors import MassError
from src.common.text_files import read_lines

END = "</w>"
"""Marks the end of a word in codes."""

_OLDEST_VERSION, *_ = _VERSIONS = ("0.1", "0.2")  # the oldest has no header


class BpeCodes(NamedTuple):
    """Pairs of symbols in the order in which they are merged, each pair once."""

    pairs: Sequence[tuple[str, str]]
    joined_end: bool = True
    """`</w>` starts as part of a word's last character (version 0.2), not as a symbol of its own (0.1)."""

    @classmethod
    def load(cls, path: str) -> "BpeCodes":
        """Raises MassError if the file is missing or its lines are not pairs of subwords."""
        lines = list(read_lines(path))
        while lines and not lines[-1]:
            lines.pop()
        version = _OLDEST_VERSION
        if header := bool(lines) and lines[0].startswith("#version:"):
            version = lines[0].split(":")[1].strip()
            if version not in _VERSIONS:
                raise MassError(f"{path}, line 1: {lines[0]!r}: only versions 0.1 and 0.2 of BPE codes are known")
        if len(lines) == header:
            raise MassError(f"{path}: holds no BPE codes; scripts/learn_subword.sh makes them")
        pairs = [tuple(line.strip(" ").split(" ")) for line in lines[header:]]
        for number, pair in enumerate(pairs, start=1 + header):
            if len(pair) != 2:
                raise MassError(
                    f"{path}, line {number}: {lines[number - 1][:80]!r} is not a BPE code (two subwords with a space "
                    f"between); scripts/learn_subword.sh makes such files"
                )
        return cls(list(dict.fromkeys(pairs)), joined_end=version != _OLDEST_VERSION)

    def __str__(self) -> str:
        """The content of a codes file."""
        lines = [f"#version: {'0.2' if self.joined_end else '0.1'}", *map(" ".join, self.pairs)]
        return "\n".join(lines) + "\n"

    def number_symbols(self) -> Mapping[str, int]:
        """All symbols of the codes, numbered from 1."""
        numbers: dict[str, int] = {}
        for left, right in self.pairs:
            for symbol in (left, right, left + right):
                numbers.setdefault(symbol, len(numbers) + 1)
        return numbers
