"""Log-probabilities of given targets."""
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from mindspore import Tensor, mutable

from src.common.progress import Progress
from src.dataset.batching.source import BatchSource
from src.runtime.device import restore_interrupts
from src.transformer.transformer import NO_SEED
from src.transformer.transformer_for_train import TransformerForScoring, TransformerForTrain


class TargetScores(NamedTuple):
    """Of each example, in the order of the records."""

    log_probs: np.ndarray  # [n] sums of log p over the target symbols, natural logarithms
    symbols: np.ndarray  # [n] int64, how many they are, </s> included


def target_log_probs(network: TransformerForTrain, source: BatchSource) -> TargetScores:
    """Score all targets with teacher forcing.

    The source has one example a row (dataset_config.pack_sentences off).
    """
    scorer = TransformerForScoring(network)
    scorer.set_train(False)
    log_probs, counts = np.zeros(len(source)), np.zeros(len(source), np.int64)
    with Progress("scoring", len(source), "sentences") as progress:
        for indices, batch in source.in_order():
            present = indices >= 0
            sums = scorer(*mutable(tuple(map(Tensor, batch))), NO_SEED).asnumpy()
            log_probs[indices[present]] = sums[present]
            counts[indices[present]] = np.count_nonzero(batch.labels, axis=1)[present]
            progress.update(int(np.count_nonzero(present)))
            restore_interrupts()
    return TargetScores(log_probs, counts)


def score_lines(scores: TargetScores) -> Iterator[str]:
    """One line an example: its log-probability and the number of its target symbols, a tabulator between them."""
    pairs: Iterable[tuple[float, int]] = zip(scores.log_probs.tolist(), scores.symbols.tolist(), strict=True)
    return (f"{log_prob:.6f}\t{symbols}" for log_prob, symbols in pairs)
