"""The options of a search."""
from dataclasses import dataclass
from typing import NamedTuple

from config.config import ModelConfig


class Sampling(NamedTuple):
    """How tokens are drawn. The names of the fields are part of the signature of scores."""

    temperature: float = 1.0
    top_k: int = 0  # 0: all tokens
    top_p: float = 1.0
    seed: int = 0  # model_config.sampling_seed


@dataclass(frozen=True)
class SearchOptions:
    """Everything that a search depends on besides the network and the sentences. Lengths are in tokens with </s>."""

    max_length: int
    beam_width: int = 4
    n_best: int = 1
    min_length: int = 1
    length_penalty_weight: float = 1.0
    no_repeat_ngram_size: int = 0  # 0: repetitions are allowed
    ban_unk: bool = False
    attention: bool = False  # whether hypotheses hold their attention weights
    sampling: Sampling | None = None  # None: beam search

    @classmethod
    def from_config(cls, model: ModelConfig) -> "SearchOptions":
        """Return the options that `model_config` asks for."""
        sampling = None
        if model.decode_strategy == "sample":
            sampling = Sampling(model.temperature, model.top_k, model.top_p, model.sampling_seed)
        return cls(model.max_decode_length, model.beam_width, model.n_best, model.min_decode_length,
                   model.length_penalty_weight, model.no_repeat_ngram_size, model.ban_unk, model.copy_unk, sampling)

    @property
    def width(self) -> int:
        """The number of hypotheses of a sentence that are continued in one step."""
        return self.n_best if self.sampling else self.beam_width
