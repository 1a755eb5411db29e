"""Answers of the search for a whole data set."""
import numpy as np
from tqdm import tqdm

from config.config import ModelConfig
from src.dataset.batch_source import BatchSource
from src.transformer.beam_search import Hypothesis, beam_search
from src.transformer.transformer_for_infer import TransformerForInfer


def generate(infer: TransformerForInfer, source: BatchSource, model: ModelConfig,
             n_best: int = 1) -> list[list[Hypothesis]]:
    """The n best hypotheses of each example, in the order of the records; none for those of other ranks.

    The source has one example a row (dataset_config.pack_sentences off).
    """
    rows = infer.batch
    answers: list[list[Hypothesis]] = [[] for _ in range(len(source))]
    with tqdm(total=len(source), desc="search", unit="sentence", disable=None) as progress:
        for indices, batch in source.in_order():
            missing = rows - len(indices)
            sources = (batch.source_ids, batch.source_positions, batch.source_segments, batch.source_mask)
            infer.start(*(np.pad(array, ((0, missing), (0, 0))) for array in sources))
            found = beam_search(infer.step, rows, model.beam_width, model.max_decode_length,
                                model.length_penalty_weight, n_best)
            for index, hypotheses in zip(indices, found, strict=False):
                if index >= 0:
                    answers[index] = hypotheses
            progress.update(int(np.count_nonzero(indices >= 0)))
    return answers
