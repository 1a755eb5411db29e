"""What a language model asks of random numbers."""
from typing import Protocol

import numpy as np


class RandomNumbers(Protocol):
    """The two methods of numpy's Generator that the language models use; row i of a result belongs to sentence i.

    A numpy Generator will do; `src.common.counter_random.ExampleRandom` gives a sentence the same numbers in whatever
    company it stands.
    """

    def random(self, size: tuple[int, ...]) -> np.ndarray:
        """Uniform in [0, 1)."""

    def integers(self, low: int, high: int | np.ndarray, size: tuple[int, ...] | None = None,
                 dtype: type = np.int64, endpoint: bool = False) -> np.ndarray:
        """Uniform in low .. high - 1, or .. high with `endpoint`; one for each of `high` where no size is given."""
