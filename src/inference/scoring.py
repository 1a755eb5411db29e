"""Log-probabilities of given targets."""
import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from mindspore import Tensor, mutable

from src.checkpoints.find import ModelFiles
from src.common.progress import Progress
from src.dataset.batching.source import BatchSource
from src.inference.examples import ExampleSet
from src.inference.model import load_model
from src.inference.output import write_lines
from src.runtime.device import restore_interrupts
from src.transformer.transformer_for_train import TransformerForScoring, TransformerForTrain


class TargetScores(NamedTuple):
    """The scores of each example, in the order of the records."""

    log_probs: np.ndarray  # [n] sums of log p over the target tokens, natural logarithms
    tokens: np.ndarray  # [n] int64, the number of target tokens, </s> included


def target_log_probs(network: TransformerForTrain, source: BatchSource) -> TargetScores:
    """Score all targets with teacher forcing.

    The batches must have one example per row (dataset_config.pack_sentences off).
    """
    scorer = TransformerForScoring(network)
    scorer.set_train(False)
    log_probs, counts = np.zeros(len(source)), np.zeros(len(source), np.int64)
    with Progress("scoring", len(source), "sentences") as progress:
        for indices, batch in source.in_order():
            present = indices >= 0
            sums = scorer(*mutable(tuple(map(Tensor, batch))), network.transformer.no_dropout_seed).asnumpy()
            log_probs[indices[present]] = sums[present]
            counts[indices[present]] = np.count_nonzero(batch.labels, axis=1)[present]
            progress.update(int(np.count_nonzero(present)))
            restore_interrupts()
    return TargetScores(log_probs, counts)


def write_target_scores(files: ModelFiles, examples: ExampleSet, output: str | None) -> None:
    """Load the model and write a line per example: the log-probability of its target, a tab, its number of tokens.

    Args:
        output: a path; None writes to standard output.
    """
    model = load_model(files)
    scores = target_log_probs(model.network, examples.scoring_batches(files.config))
    if bad := np.count_nonzero(~np.isfinite(scores.log_probs)):
        print(f"warning: {bad:,} of {len(scores.log_probs):,} log-probabilities are not finite; has the training of "
              f"this model diverged?", file=sys.stderr, flush=True)
    write_lines(output, [_score_lines(scores)])


def _score_lines(scores: TargetScores) -> Iterator[str]:
    pairs: Iterable[tuple[float, int]] = zip(scores.log_probs.tolist(), scores.tokens.tolist(), strict=True)
    return (f"{log_prob:.6f}\t{tokens}" for log_prob, tokens in pairs)
