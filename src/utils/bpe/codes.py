"""Files of BPE codes as subword-nmt writes them."""
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from src.common.checksum_files import require_checksum_of
from src.common.errors import MassError
from src.common.files import require_file
from src.common.text_files import read_lines

END = "</w>"
"""The end of a word in codes."""

_OLDEST_VERSION, *_ = _VERSIONS = ("0.1", "0.2")  # the oldest version has no header


class BpeCodes(NamedTuple):
    """Pairs of symbols (characters or sequences of them) in the order in which they are merged, without duplicates."""

    pairs: Sequence[tuple[str, str]]
    joined_end: bool = True
    """Whether `</w>` is part of the last character of a word (version 0.2) or a symbol of its own (version 0.1)."""

    @classmethod
    def load(cls, path: str) -> "BpeCodes":
        """Load a file of BPE codes.

        Raises:
            MassError: the file is missing or is not what the checksum beside it says, its version is not supported, or
                a line is not a pair of subwords.
        """
        require_checksum_of(require_file(path, "BPE codes"))
        lines = list(read_lines(path))
        while lines and not lines[-1]:
            lines.pop()
        version = _OLDEST_VERSION
        if header := bool(lines) and lines[0].startswith("#version:"):
            version = lines[0].split(":")[1].strip()
            if version not in _VERSIONS:
                raise MassError(f"{path}, line 1: {lines[0]!r}: only versions 0.1 and 0.2 of BPE codes are supported")
        if len(lines) == header:
            raise MassError(f"{path}: holds no BPE codes; create them with scripts/learn_subword.sh")
        pairs = [tuple(line.strip(" ").split(" ")) for line in lines[header:]]
        for number, pair in enumerate(pairs, start=1 + header):
            if len(pair) != 2:
                raise MassError(
                    f"{path}, line {number}: {lines[number - 1][:80]!r} is not a BPE code (two subwords separated by "
                    f"a space); create such files with scripts/learn_subword.sh"
                )
        return cls(list(dict.fromkeys(pairs)), joined_end=version != _OLDEST_VERSION)

    def __str__(self) -> str:
        """Return the content of a file with these codes."""
        lines = [f"#version: {'0.2' if self.joined_end else '0.1'}", *map(" ".join, self.pairs)]
        return "\n".join(lines) + "\n"

    def number_symbols(self) -> Mapping[str, int]:
        """Number all symbols of the codes from 1."""
        numbers: dict[str, int] = {}
        for left, right in self.pairs:
            for symbol in (left, right, left + right):
                numbers.setdefault(symbol, len(numbers) + 1)
        return numbers
