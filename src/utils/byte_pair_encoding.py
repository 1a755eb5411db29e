"""Byte-pair encoding (Sennrich et al., ACL 2016) with codes that subword-nmt has learned."""
import re
from collections import Counter
from collections.abc import Sequence

from src.common.errors import MassError
from src.utils.bpe.codes import BpeCodes
from src.utils.bpe.encoders import SEPARATOR, BpeEncoder, CompiledBpeEncoder, SubwordNmtEncoder
from src.utils.dictionary import SPECIAL_TOKENS, UNK_INDEX, UNKNOWN_SPELLINGS

_WHOLE = tuple(dict.fromkeys(SPECIAL_TOKENS + UNKNOWN_SPELLINGS))
GLOSSARIES = tuple(f"^{re.escape(token)}$" for token in _WHOLE)
"""Words that are never split, in the form of the option `--glossaries` of `subword-nmt apply-bpe`.

The patterns are anchored, so that only the whole word `UNK` means the unknown token, not a part of `DRUNK`.
"""

_UNKNOWN = SPECIAL_TOKENS[UNK_INDEX]
_STAND_IN = "\ufdd0"  # Unicode reserves this code point for internal use by programs
_UNKNOWN_SUBWORD = re.compile(f"(?<![^ \n]){re.escape(_UNKNOWN)}(?=(?:{SEPARATOR})?(?![^ \n]))")
_UNKNOWN_WORD = re.compile(f"[^ \n]*{_STAND_IN}[^ \n]*")

_STRIPPED = "\r\n "  # what subword-nmt keeps at both ends of a line


class BytePairEncoding:
    """Splits words into subwords, such as `Hello` into `Hel@@ lo`.

    The result is byte for byte that of `subword-nmt apply-bpe` with `GLOSSARIES`.
    """

    def __init__(self, codes_path: str, compiled: bool = True):
        """Load the codes and the encoder.

        Args:
            codes_path: a file of BPE codes.
            compiled: use the C encoder, which is compiled at its first use on a machine. If it is False, or if there is
                no compiler, subword-nmt encodes.

        Raises:
            MassError: the file is missing or its lines are not pairs of subwords.
        """
        codes = BpeCodes.load(codes_path)
        self.note = ""
        """A note for the user on how the encoder runs; may be empty."""
        self._encoder: BpeEncoder
        if compiled:
            try:
                self._encoder = CompiledBpeEncoder(codes, _WHOLE)
            except (MassError, OSError) as error:
                self.note = f"BPE is applied by subword-nmt, which is slower: {error}"
            else:
                self.note = self._encoder.note and f"BPE encoder compiled {self._encoder.note}"
                return
        self._encoder = SubwordNmtEncoder(codes, _WHOLE)

    def encode_text(self, text: str) -> str:
        """Encode whole lines.

        Line ends and the spaces at both ends of a line are kept; several spaces between words become one.
        """
        if "  " in text:
            text = "\n".join(map(_without_double_spaces, text.split("\n")))
        return self._encoder.encode(text)

    def take_counts(self) -> Counter[str]:
        """Return the frequency of each subword in the text that was encoded since the last call."""
        return self._encoder.take_counts()


def join_subwords(text: str | Sequence[str]) -> str:
    """Undo the encoding: `Hel@@ lo world` (or the list of its tokens) becomes `Hello world`.

    A word of which a subword is unknown is unknown as a whole: both `cor@@ <unk>` and `<unk>@@ ines` become `<unk>`.
    """
    joined = text if isinstance(text, str) else " ".join(text)
    partly_unknown = _UNKNOWN in joined and SEPARATOR in joined
    if partly_unknown:
        joined = _UNKNOWN_SUBWORD.sub(_STAND_IN, joined)
    joined = joined.removesuffix(SEPARATOR).replace(SEPARATOR + " ", "")
    return _UNKNOWN_WORD.sub(_UNKNOWN, joined) if partly_unknown else joined


def _without_double_spaces(line: str) -> str:
    """Return the line with single spaces between words, as subword-nmt does.

    subword-nmt reads lines as `str.splitlines` does, so the spaces at the ends of such pieces are kept.
    """
    pieces = []
    for piece in line.splitlines(keepends=True):
        core = piece.strip(_STRIPPED)
        if core:
            start = piece.index(core)
            words = filter(None, core.split(" "))
            piece = piece[:start] + " ".join(words) + piece[start + len(core) :]
        pieces.append(piece)
    return "".join(pieces)
