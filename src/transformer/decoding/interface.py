"""The interface between the search and the network: cached decoding steps."""
from typing import NamedTuple, Protocol

import numpy as np

NOT_FINITE = "the network's outputs are not finite numbers: its weights are damaged, or training has diverged"


class StepResult(NamedTuple):
    """The most probable next tokens of each hypothesis.

    Log-probabilities are natural logarithms of the softmax over the whole vocabulary. `sentences` stands for the number
    of sentences that the step was given.
    """

    log_probs: np.ndarray  # [sentences, width, candidates] float32, in any order
    ids: np.ndarray  # [sentences, width, candidates] int32, the tokens that log_probs belong to
    eos_log_probs: np.ndarray  # [sentences, width] float32, of </s>, whether it is among the candidates or not
    attention: np.ndarray | None  # [sentences, width, source_len] float32; see Hypothesis.attention


class StepFunction(Protocol):
    """One step of decoding, as the search calls it."""

    def __call__(self, position: int, sentences: np.ndarray, last_ids: np.ndarray,
                 ancestors: np.ndarray) -> StepResult:
        """Return the tokens that may follow the newest token of each hypothesis.

        Positions are passed in the order 0, 1, 2, ... The step writes the keys and values of the newest tokens to the
        cache and never moves entries of the cache when the search reorders its hypotheses; `ancestors` says where the
        entries of a hypothesis are.

        Args:
            position: of the newest tokens; that of <s> is 0.
            sentences: [sentences] ints, indices into the batch. A sentence that was left out in one step must not be
                given again.
            last_ids: [sentences, width] int32, the newest token of each hypothesis.
            ancestors: [sentences, width, position + 1] int32, where the tokens of each hypothesis were passed: that of
                position p was at the place ancestors[..., p] (0 .. width - 1) in step p. The last entry is the
                hypothesis' own place.
        """


class StepSizes(NamedTuple):
    """The sizes that cached steps allocate memory for."""

    batch: int  # sentences in a batch, at most
    width: int  # hypotheses of a sentence
    max_length: int  # tokens of a hypothesis with </s>, at most
    candidates: int  # most probable tokens returned for each hypothesis
    attention: bool  # whether steps return attention weights


class CachedSteps(Protocol):
    """The network as the search runs it: the encoder once for a batch, then single steps of the decoder.

    Keys and values of self-attention and cross-attention are cached. There are two implementations: GraphSteps
    (graph_steps.py), MindSpore graphs for every device, and CSteps (c_steps.py), C code for the CPU. `make_steps`
    (selection.py) chooses between them.
    """

    def refresh(self) -> None:
        """Read the weights of the network again, which may have changed since the steps were made."""

    def start(self, source_ids: np.ndarray, source_positions: np.ndarray, source_segments: np.ndarray,
              source_mask: np.ndarray) -> None:
        """Encode a batch of sentences, to which the following steps belong.

        Args:
            source_ids, source_positions, source_segments, source_mask: [sentences, source_len] int32 with one sentence
                in a row; see Transformer.construct.

        Raises:
            MassError: an id or a position is out of range. GraphSteps does not check them.
        """

    def step(self, position: int, sentences: np.ndarray, last_ids: np.ndarray, ancestors: np.ndarray) -> StepResult:
        """Run one step; see StepFunction.

        Raises:
            MassError: outputs of the network are not finite numbers.
        """
