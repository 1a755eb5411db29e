"""The work of decoding_speed.py: sentences to answer, of one length, in answers of one length."""
from typing import NamedTuple

import numpy as np

from benchmarks.engines.workload import SIZES
from config.config import ModelConfig

FIRST_WORD = 5  # after the special symbols


class Sources(NamedTuple):
    """A batch to be answered with a beam."""

    ids: np.ndarray  # [batch, source_len] int32, no padding
    beam: int
    answer_length: int  # of each answer, </s> included


class Cell(NamedTuple):
    """A line of the table."""

    size: str
    beam: int
    batch: int

    @property
    def name(self) -> str:
        return f"{self.size}, beam {self.beam}, batch {self.batch}"


def search_model(size: str) -> ModelConfig:
    """The dimensions of training_speed.py's networks; scores are log-probabilities divided by a length penalty."""
    return SIZES[size].model()


def random_sources(cell: Cell, batches: int, source_len: int, answer_length: int, seed: int) -> list[Sources]:
    """Random words; what they are changes nothing about the work."""
    generator = np.random.default_rng(seed)
    shape = (batches, cell.batch, source_len)
    ids = generator.integers(FIRST_WORD, SIZES[cell.size].vocabulary, shape).astype(np.int32)
    return [Sources(batch, cell.beam, answer_length) for batch in ids]
