"""The interface of the random number generators that the language models use."""
from typing import Protocol

import numpy as np


class RandomNumbers(Protocol):
    """The two methods of numpy's Generator that the language models use; row i of a result belongs to sentence i.

    A numpy Generator can be used, or `src.common.counter_random.ExampleRandom`, with which the numbers of a sentence do
    not depend on the other sentences of the batch.
    """

    def random(self, size: tuple[int, ...]) -> np.ndarray:
        """Return numbers that are uniform in [0, 1)."""

    def integers(self, low: int, high: int | np.ndarray, size: tuple[int, ...] | None = None,
                 dtype: type = np.int64, endpoint: bool = False) -> np.ndarray:
        """Return integers that are uniform in low .. high - 1, or low .. high with `endpoint`.

        Without `size` there is one integer for each element of `high`.
        """
