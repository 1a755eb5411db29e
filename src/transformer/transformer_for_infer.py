"""The network as the search runs it: the encoder once, then cached single steps for all hypotheses of a batch."""
import numpy as np

from src.transformer.decoding.c_steps import CSteps
from src.transformer.decoding.constraints import candidates_needed
from src.transformer.decoding.graph_steps import GraphSteps
from src.transformer.decoding.options import SearchOptions
from src.transformer.decoding.step import StepResult
from src.transformer.transformer import Transformer


class TransformerForInfer:
    """Encodes a batch, then answers the search step by step.

    Args:
        transformer: the network with its weights.
        batch: sentences a batch, at most.
        options: of the search.
    """

    def __init__(self, transformer: Transformer, batch: int, options: SearchOptions):
        self.batch, self.options = batch, options
        self._steps = _make_steps(transformer, batch, options)

    def refresh(self) -> None:
        """Take up the network's weights, which may have changed since this was made."""
        self._steps.refresh()

    def start(self, source_ids: np.ndarray, source_positions: np.ndarray, source_segments: np.ndarray,
              source_mask: np.ndarray) -> None:
        """Encode sentences, each [sentences, source_len] int32, one a row; the steps that follow are about them."""
        if len(source_ids) > self.batch:
            raise ValueError(f"{len(source_ids)} sentences for steps made for {self.batch}")
        self._steps.start(source_ids, source_positions, source_segments, source_mask)

    def step(self, position: int, sentences: np.ndarray, last_ids: np.ndarray, ancestors: np.ndarray) -> StepResult:
        """See Step."""
        if position >= self.options.max_length:
            raise ValueError(f"position {position}: steps are made for {self.options.max_length} symbols")
        return self._steps.step(position, sentences, last_ids, ancestors)


def _make_steps(transformer: Transformer, batch: int, options: SearchOptions) -> GraphSteps | CSteps:
    """The steps that go with the network's operators: in C if those are C kernels, else as MindSpore graphs."""
    sizes = (batch, options.width, options.max_length,
             candidates_needed(options, transformer.embedding.table.shape[0]), options.attention)
    if transformer.operators.kernel_library:
        return CSteps(transformer.operators.kernel_library, transformer, *sizes)
    return GraphSteps(transformer, *sizes)
