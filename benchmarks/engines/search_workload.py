"""The workload of decoding_speed.py: sources of one length, for predictions of one length."""
from typing import NamedTuple

import numpy as np

from benchmarks.engines.workload import SIZES
from config.config import ModelConfig

FIRST_TOKEN = 5  # after the special tokens


class Sources(NamedTuple):
    """A batch of sources, and how predictions for it are searched."""

    ids: np.ndarray  # [batch, source_len] int32, without padding
    beam: int
    prediction_length: int  # tokens of each prediction, including </s>


class SearchSettings(NamedTuple):
    """The settings of an engine."""

    model: ModelConfig
    number_format: str = "float32"  # of the matrix products
    folder: str = ""  # of the converted network
    weights: int = 0  # number of weights of the converted network
    share_batches: bool = False  # CTranslate2: the threads share the sentences of a batch, not the work on each


class Cell(NamedTuple):
    """One measured combination, a line of the table."""

    size: str
    beam: int
    batch: int

    @property
    def name(self) -> str:
        return f"{self.size}, beam {self.beam}, batch {self.batch}"


def search_model(size: str) -> ModelConfig:
    """Return the configuration of training_speed.py's network of the same size."""
    return SIZES[size].model()


def random_sources(cell: Cell, batches: int, source_len: int, prediction_length: int, seed: int) -> list[Sources]:
    """Return batches of random tokens; the speed does not depend on them."""
    generator = np.random.default_rng(seed)
    shape = (batches, cell.batch, source_len)
    ids = generator.integers(FIRST_TOKEN, SIZES[cell.size].vocabulary, shape).astype(np.int32)
    return [Sources(batch, cell.beam, prediction_length) for batch in ids]
