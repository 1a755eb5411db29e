"""Log-probabilities of given targets."""
import numpy as np
from mindspore import Tensor, mutable
from tqdm import tqdm

from src.dataset.batch_source import BatchSource
from src.transformer.transformer import NO_SEED
from src.transformer.transformer_for_train import TransformerForScoring, TransformerForTrain


def target_log_probs(network: TransformerForTrain, source: BatchSource) -> tuple[np.ndarray, np.ndarray]:
    """Sum of log p over the target symbols of each example, and how many they are, in the order of the records.

    The source has one example a row (dataset_config.pack_sentences off).
    """
    scorer = TransformerForScoring(network)
    scorer.set_train(False)
    log_probs, counts = np.zeros(len(source)), np.zeros(len(source), np.int64)
    with tqdm(total=len(source), desc="scoring", unit="sentence", disable=None) as progress:
        for indices, batch in source.in_order():
            present = indices >= 0
            sums = scorer(*mutable(tuple(map(Tensor, batch))), NO_SEED).asnumpy()
            log_probs[indices[present]] = sums[present]
            counts[indices[present]] = np.count_nonzero(batch.labels, axis=1)[present]
            progress.update(int(np.count_nonzero(present)))
    return log_probs, counts
