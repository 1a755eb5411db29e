"""Cross-entropy with label smoothing, without one-hot labels."""
from mindspore import Tensor, nn, ops

from src.transformer.embedding import Embedding
from src.transformer.operators.interface import Operators


class LabelSmoothedLoss(nn.Cell):
    """Sums over target symbols of -sum_v w_v log p_v, w = 1-e on the target, e/(V-1) elsewhere (Szegedy et al., 2016).

    With logits z: log p_v = z_v - lse(z), so the loss is lse(z) - (1 - e - e/(V-1)) z_target - e/(V-1) sum_v z_v.
    """

    def __init__(self, embedding: Embedding, vocab_size: int, smoothing: float, operators: Operators):
        super().__init__()
        other_weight = smoothing / (vocab_size - 1)
        self.embedding = embedding
        self.cross_entropy = operators.cross_entropy(1.0 - smoothing - other_weight, other_weight)

    def rows(self, states: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """[rows, hidden] states, [rows] labels -> smoothed loss and negative log-likelihood of each, 0 at <pad>."""
        return self.cross_entropy(states, self.embedding.table, labels)

    def construct(self, states: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """[rows, hidden] states, [rows] labels -> smoothed loss and negative log-likelihood, summed."""
        loss, nll = self.rows(states, labels)
        return ops.sum(loss), ops.sum(nll)
