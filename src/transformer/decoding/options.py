"""What a search is asked for."""
from dataclasses import dataclass
from typing import NamedTuple

from config.config import ModelConfig


class Sampling(NamedTuple):
    """How symbols are drawn; see the keys of model_config of the same names."""

    temperature: float = 1.0
    top_k: int = 0  # 0: all
    top_p: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class SearchOptions:
    """All that a search depends on beside the network and the sentences. Lengths count </s>."""

    max_length: int
    beam_width: int = 4
    n_best: int = 1
    min_length: int = 1
    length_penalty_weight: float = 1.0
    no_repeat_ngram_size: int = 0  # 0: may repeat
    ban_unk: bool = False
    attention: bool = False  # whether hypotheses tell what they have attended to
    sampling: Sampling | None = None  # None: beam search

    @classmethod
    def from_config(cls, model: ModelConfig) -> "SearchOptions":
        sampling = None
        if model.decode_strategy == "sample":
            sampling = Sampling(model.temperature, model.top_k, model.top_p, model.sampling_seed)
        return cls(model.max_decode_length, model.beam_width, model.n_best, model.min_decode_length,
                   model.length_penalty_weight, model.no_repeat_ngram_size, model.ban_unk, model.copy_unk, sampling)

    @property
    def width(self) -> int:
        """Hypotheses of a sentence that the network carries on at once."""
        return self.n_best if self.sampling else self.beam_width
