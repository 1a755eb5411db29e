"""What a search asks of the network at each step, and what it is told."""
from typing import NamedTuple, Protocol

import numpy as np

NOT_FINITE = "the network's outputs are not finite numbers: its weights are damaged, or training has diverged"


class StepResult(NamedTuple):
    """The most probable next symbols of each hypothesis; log-probabilities are natural logarithms over all symbols.

    `sentences` are those the step was asked for.
    """

    log_probs: np.ndarray  # [sentences, width, candidates] float32, in any order
    ids: np.ndarray  # [sentences, width, candidates] int32
    eos_log_probs: np.ndarray  # [sentences, width] float32, of </s>, be it among the candidates or not
    attention: np.ndarray | None  # [sentences, width, source_len] float32, of this step's symbols; see Hypothesis


class Step(Protocol):
    """One symbol further."""

    def __call__(self, position: int, sentences: np.ndarray, last_ids: np.ndarray,
                 ancestors: np.ndarray) -> StepResult:
        """The symbols that may follow `last_ids` [sentences, width] int32, which stand at `position`.

        `sentences` are indices into the batch; one that has been left out never comes again. `ancestors`
        [sentences, width, position + 1] int32 names, for each hypothesis and position so far, the place among the
        `width` in which the symbol at that position was given; its last entry is the hypothesis itself.
        """
