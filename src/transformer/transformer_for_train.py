"""The network with its loss: what training differentiates and validation measures."""
from mindspore import Tensor, nn, ops

from config.config import ModelConfig
from src.transformer.label_smoothed_loss import LabelSmoothedLoss
from src.transformer.operators.interface import Operators
from src.transformer.transformer import Transformer


class TransformerForTrain(nn.Cell):
    """A batch in, two sums over its target symbols out: the smoothed loss and the negative log-likelihood."""

    def __init__(self, model: ModelConfig, operators: Operators):
        super().__init__(auto_prefix=False)  # the weights keep the names they have in the bare network
        self.transformer = Transformer(model, operators)
        self.loss = LabelSmoothedLoss(self.transformer.embedding, model.vocab_size, model.label_smoothing, operators)

    def construct(self, source_ids: Tensor, source_positions: Tensor, source_segments: Tensor, source_mask: Tensor,
                  decoder_input_ids: Tensor, decoder_positions: Tensor, decoder_segments: Tensor, labels: Tensor,
                  seed: Tensor) -> tuple[Tensor, Tensor]:
        """All arguments [batch, length] int32, as `Batch` names them, and the seed [2] of the dropout."""
        states = self.transformer(source_ids, source_positions, source_segments, source_mask, decoder_input_ids,
                                  decoder_positions, decoder_segments, seed)
        return self.loss(states, ops.reshape(labels, (-1,)))


class TransformerForScoring(nn.Cell):
    """A batch in, the log-probability of each row's target out."""

    def __init__(self, network: TransformerForTrain):
        super().__init__(auto_prefix=False)
        self.transformer = network.transformer
        self.loss = network.loss

    def construct(self, source_ids: Tensor, source_positions: Tensor, source_segments: Tensor, source_mask: Tensor,
                  decoder_input_ids: Tensor, decoder_positions: Tensor, decoder_segments: Tensor, labels: Tensor,
                  seed: Tensor) -> Tensor:
        """[batch] sums of log p over the target symbols, without smoothing."""
        states = self.transformer(source_ids, source_positions, source_segments, source_mask, decoder_input_ids,
                                  decoder_positions, decoder_segments, seed)
        _, nll = self.loss.rows(states, ops.reshape(labels, (-1,)))
        return -ops.sum(ops.reshape(nll, labels.shape), -1)
