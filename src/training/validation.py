"""Perplexity on held-out data."""
from mindspore import Tensor, mutable

from src.dataset.batch_plan import BatchSource
from src.transformer.transformer_for_train import TransformerForTrain


def validate(network: TransformerForTrain, source: BatchSource) -> tuple[float, int]:
    """Negative log-likelihood of all examples, summed, and the number of target symbols; masks are always the same."""
    network.set_train(False)
    nll, targets = 0.0, 0
    for _, batch in source.in_order():
        nll += float(network(*mutable(tuple(map(Tensor, batch))))[1].asnumpy())
        targets += batch.target_tokens
    network.set_train(True)
    return nll, targets
