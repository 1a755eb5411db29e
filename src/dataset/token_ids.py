"""The ids of BPE-encoded text."""
from collections.abc import Callable

import numpy as np

from src.common.ragged import RaggedArray
from src.common.text_files import DecodedText
from src.utils.dictionary import EOS_INDEX, Dictionary

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
        tokens = text.text.replace("\n", " \n ").split(" ")
        ids = np.fromiter(map(self.__getitem__, tokens), dtype=np.int32, count=len(tokens))
        ids = ids[ids != _NO_TOKEN]
        ends = np.flatnonzero(ids == EOS_INDEX) + 1  # no token of a text has the id of `</s>`
        return RaggedArray(ids, np.concatenate([np.zeros(1, np.int64), ends]))
