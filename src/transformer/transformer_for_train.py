"""The network with its loss: what training differentiates and validation measures."""
from mindspore import Tensor, nn, ops

from config.config import ModelConfig
from src.transformer.label_smoothed_loss import LabelSmoothedLoss
from src.transformer.transformer import Transformer


class TransformerForTrain(nn.Cell):
    """A batch in, two sums over its target symbols out: the smoothed loss and the negative log-likelihood."""

    def __init__(self, model: ModelConfig):
        super().__init__(auto_prefix=False)  # the weights keep the names they have in the bare network
        self.transformer = Transformer(model)
        self.loss = LabelSmoothedLoss(self.transformer.embedding, model.vocab_size, model.label_smoothing)

    def construct(self, source_ids: Tensor, source_mask: Tensor, decoder_input_ids: Tensor, decoder_positions: Tensor,
                  decoder_mask: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """All arguments [batch, length] int32, as `src.dataset.batch.Batch` names them."""
        states = self.transformer(source_ids, source_mask, decoder_input_ids, decoder_positions, decoder_mask)
        return self.loss(states, ops.reshape(labels, (-1,)))


class TransformerForScoring(nn.Cell):
    """A batch in, the log-probability of each sentence's target out."""

    def __init__(self, transformer: Transformer, loss: LabelSmoothedLoss):
        super().__init__(auto_prefix=False)
        self.transformer = transformer
        self.loss = loss

    def construct(self, source_ids: Tensor, source_mask: Tensor, decoder_input_ids: Tensor, decoder_positions: Tensor,
                  decoder_mask: Tensor, labels: Tensor) -> Tensor:
        """[batch] sums of log p over the target symbols, without smoothing."""
        states = self.transformer(source_ids, source_mask, decoder_input_ids, decoder_positions, decoder_mask)
        target_logits, lse, weights = self.loss.log_probs(states, ops.reshape(labels, (-1,)))
        return ops.sum(ops.reshape((target_logits - lse) * weights, labels.shape), -1)
