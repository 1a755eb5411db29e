"""Cross-entropy with label smoothing, without one-hot labels."""
from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype

from src.transformer.embedding import Embedding
from src.transformer.fast_gradients import LogSumExp, column_sums


class LabelSmoothedLoss(nn.Cell):
    """Sums over target symbols of -sum_v w_v log p_v, w = 1-e on the target, e/(V-1) elsewhere (Szegedy et al., 2016).

    With logits z = s E^T, log p_v = z_v - lse(z), and the sum of all logits is s . (sum of the rows of E): so the loss
    is lse - (1 - e - e/(V-1)) z_target - e/(V-1) (s . sum of rows), and needs only `lse` from the [rows, V] logits.
    """

    def __init__(self, embedding: Embedding, vocab_size: int, smoothing: float, pad_index: int = 0):
        super().__init__()
        self.embedding = embedding
        self.other_weight = smoothing / (vocab_size - 1)
        self.target_weight = 1.0 - smoothing - self.other_weight
        self.vocab_size = vocab_size
        self.pad_index = pad_index
        self.log_sum_exp = LogSumExp()

    def log_probs(self, states: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[rows, hidden] states and [rows] labels -> target logits, log-sum-exp of all logits, weights (0 at <pad>)."""
        weights = ops.cast(labels != self.pad_index, mstype.float32)
        target_logits = ops.sum(states * self.embedding.rows(labels), -1)
        return target_logits, self.log_sum_exp(self.embedding.logits(states)), weights

    def construct(self, states: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """[rows, hidden] states, [rows] labels -> smoothed loss and negative log-likelihood, summed but for <pad>."""
        target_logits, lse, weights = self.log_probs(states, labels)
        nll = ops.sum((lse - target_logits) * weights)
        if self.other_weight == 0.0:
            return nll, nll
        table_sum = ops.reshape(column_sums(self.embedding.table), (-1, 1))
        logit_sums = ops.reshape(ops.matmul(states, table_sum), (-1,))
        smoothed = lse - self.target_weight * target_logits - self.other_weight * logit_sums
        return ops.sum(smoothed * weights), nll
