"""The ids of BPE-encoded text."""
from collections.abc import Callable

import numpy as np

from src.common.ragged import RaggedArray
from src.common.text_files import DecodedText
from src.utils.bpe.encoders import SEPARATOR
from src.utils.dictionary import EOS_INDEX, UNK_INDEX, Dictionary

Places = list[tuple[int, int]]
"""Places of tokens: the number of the example, and the position in it."""

_NO_TOKEN = -1


class TokenIds(dict[str, int]):
    """The ids of the tokens of encoded text, as in `Dictionary.text_index`; a newline is `</s>`, blanks have no id."""

    def __init__(self, vocabulary: Dictionary):
        super().__init__(vocabulary.text_index)
        self._look_up: Callable[[str], int] = vocabulary.text_index.__getitem__
        self.update({"\n": EOS_INDEX, "": _NO_TOKEN})

    def __missing__(self, token: str) -> int:
        return _NO_TOKEN if token.isspace() else self._look_up(token)

    def encode(self, text: DecodedText) -> RaggedArray:
        """Return the ids of each line, followed by the id of `</s>`.

        Only spaces separate tokens, as in subword-nmt; a token that consists of other white space is left out.
        """
        tokens = _split(text)
        ids = np.fromiter(map(self.__getitem__, tokens), dtype=np.int32, count=len(tokens))
        ids = ids[ids != _NO_TOKEN]
        ends = np.flatnonzero(ids == EOS_INDEX) + 1  # no token of a text has the id of `</s>`
        return RaggedArray(ids, np.concatenate([np.zeros(1, np.int64), ends]))

    def continued_unknown(self, text: DecodedText, encoded: RaggedArray) -> Places:
        """Return the places of those unknown subwords that are not the last ones of their words.

        The ids alone do not say it: `cor@@` and `cor` both become `<unk>`.

        Args:
            encoded: what `encode` returned for the text.
        """
        flat = np.flatnonzero(encoded.values == UNK_INDEX)
        if not len(flat):
            return []
        tokens = [token for token in _split(text) if self[token] != _NO_TOKEN]
        flat = np.array([place for place in flat.tolist() if tokens[place].endswith(SEPARATOR)], np.int64)
        examples = np.searchsorted(encoded.offsets, flat, side="right") - 1
        return list(zip(examples.tolist(), (flat - encoded.offsets[examples]).tolist(), strict=True))


def _split(text: DecodedText) -> list[str]:
    return text.text.replace("\n", " \n ").split(" ")
