"""The network as the search runs it, made for one batch size and the options of a search."""
import numpy as np

from src.transformer.decoding.constraints import candidates_needed
from src.transformer.decoding.interface import StepResult, StepSizes
from src.transformer.decoding.options import SearchOptions
from src.transformer.decoding.selection import make_steps
from src.transformer.transformer import Transformer


class TransformerForInfer:
    """Runs the encoder once for a batch, then cached single steps of the decoder for all hypotheses of the batch.

    Args:
        transformer: the network with its weights.
        batch: the largest number of sentences in a batch.
        options: the options of the search.
    """

    def __init__(self, transformer: Transformer, batch: int, options: SearchOptions):
        self.batch, self.options = batch, options
        candidates = candidates_needed(options, transformer.embedding.table.shape[0])
        sizes = StepSizes(batch, options.width, options.max_length, candidates, options.attention)
        self._steps = make_steps(transformer, sizes)

    def refresh(self) -> None:
        """See CachedSteps."""
        self._steps.refresh()

    def start(self, source_ids: np.ndarray, source_positions: np.ndarray, source_segments: np.ndarray,
              source_mask: np.ndarray) -> None:
        """See CachedSteps; raises ValueError for more sentences than `batch`."""
        if len(source_ids) > self.batch:
            raise ValueError(f"there are {len(source_ids)} sentences, but memory for {self.batch}")
        self._steps.start(source_ids, source_positions, source_segments, source_mask)

    def step(self, position: int, sentences: np.ndarray, last_ids: np.ndarray, ancestors: np.ndarray) -> StepResult:
        """See StepFunction; raises ValueError for a position beyond the maximum length."""
        if position >= self.options.max_length:
            raise ValueError(f"position {position} is beyond the maximum length of {self.options.max_length} tokens")
        return self._steps.step(position, sentences, last_ids, ancestors)
