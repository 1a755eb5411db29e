"""Cross-entropy with label smoothing, without one-hot labels."""
from mindspore import Tensor, nn, ops

from src.transformer.embedding import Embedding
from src.transformer.operators.interface import Operators


class LabelSmoothedLoss(nn.Cell):
    """-sum_v w_v log p_v with w = 1 - e on the target and e / (V - 1) on each other token (Szegedy et al., 2016).

    With logits z, log p_v = z_v - lse(z), so the loss is lse(z) - (1 - e - e/(V-1)) z_target - e/(V-1) sum_v z_v.
    """

    def __init__(self, embedding: Embedding, vocab_size: int, smoothing: float, operators: Operators):
        super().__init__()
        other_weight = smoothing / (vocab_size - 1)
        self.embedding = embedding
        self.cross_entropy = operators.cross_entropy(1.0 - smoothing - other_weight, other_weight)

    def construct(self, states: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sums of the smoothed loss and of the negative log-likelihood over all rows; see `row_losses`."""
        total, _, nll = self.cross_entropy(states, self.embedding.table, labels)
        return ops.reshape(total, ()), ops.sum(nll)

    def row_losses(self, states: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the smoothed loss and the negative log-likelihood of each row, both 0 where the label is <pad>.

        Decoder states [rows, hidden_size], labels [rows] int32 -> [rows], [rows]. They have no gradients.
        """
        _, losses, nll = self.cross_entropy(states, self.embedding.table, labels)
        return losses, nll
