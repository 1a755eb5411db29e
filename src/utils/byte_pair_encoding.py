"""Byte-pair encoding (Sennrich et al., ACL 2016) with codes learned by subword-nmt."""
import re
from collections import Counter
from collections.abc import Sequence

from src.common.errors import MassError
from src.utils.bpe.codes import BpeCodes
from src.utils.bpe.encoders import SEPARATOR, BpeEncoder, CompiledBpeEncoder, SubwordNmtEncoder
from src.utils.dictionary import SPECIAL_TOKENS, UNKNOWN_SPELLINGS

_WHOLE = tuple(dict.fromkeys(SPECIAL_TOKENS + UNKNOWN_SPELLINGS))
GLOSSARIES = tuple(f"^{re.escape(token)}$" for token in _WHOLE)
"""Tokens left whole, as `subword-nmt apply-bpe --glossaries` takes them.

They are anchored: only the token `UNK` stands for an unknown word, not a part of `DRUNK`.
"""

_STRIPPED = "\r\n "  # what subword-nmt leaves alone at both ends of a line


class BytePairEncoding:
    """Splits words into subwords, `Hello` into `Hel@@ lo`.

    The result is that of `subword-nmt apply-bpe` with `GLOSSARIES`, to the byte.
    """

    def __init__(self, codes_path: str, compiled: bool = True):
        """Compiles the encoder at the first use on a machine; without a compiler, or `compiled`, subword-nmt serves.

        Raises MassError if the file is missing or its lines are not pairs of subwords.
        """
        codes = BpeCodes.load(codes_path)
        self.note = ""
        """What a user should know of how it runs, '' if there is nothing."""
        self._encoder: BpeEncoder
        if compiled:
            try:
                self._encoder = CompiledBpeEncoder(codes, _WHOLE)
            except (MassError, OSError) as error:
                self.note = f"BPE is encoded by subword-nmt, which is slower: {error}"
            else:
                self.note = self._encoder.note and f"BPE encoder compiled {self._encoder.note}"
                return
        self._encoder = SubwordNmtEncoder(codes, _WHOLE)

    def encode_text(self, text: str) -> str:
        """Encode whole lines, whose ends stay as they are; spaces at both ends stay, doubled ones inside do not."""
        if "  " in text:
            text = "\n".join(map(_without_double_spaces, text.split("\n")))
        return self._encoder.encode(text)

    def take_counts(self) -> Counter[str]:
        """How often each subword has come up in what was encoded since the last call."""
        return self._encoder.take_counts()


def join_subwords(text: str | Sequence[str]) -> str:
    """Undo the encoding: `Hel@@ lo world` (or its tokens) becomes `Hello world`."""
    joined = text if isinstance(text, str) else " ".join(text)
    return joined.replace(SEPARATOR + " ", "").removesuffix(SEPARATOR)


def _without_double_spaces(line: str) -> str:
    """The line with single spaces between words, as subword-nmt leaves it: between what its reader takes for lines."""
    pieces = []
    for piece in line.splitlines(keepends=True):
        core = piece.strip(_STRIPPED)
        if core:
            start = piece.index(core)
            words = filter(None, core.split(" "))
            piece = piece[:start] + " ".join(words) + piece[start + len(core) :]
        pieces.append(piece)
    return "".join(pieces)
