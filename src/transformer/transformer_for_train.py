"""The network with its loss, for training, validation and scoring."""
from mindspore import Tensor, nn, ops

from config.config import ModelConfig
from src.transformer.label_smoothed_loss import LabelSmoothedLoss
from src.transformer.operators.interface import Operators
from src.transformer.transformer import Transformer


class TransformerForTrain(nn.Cell):
    """The network and its loss, which training differentiates and validation measures."""

    def __init__(self, model: ModelConfig, operators: Operators):
        super().__init__(auto_prefix=False)  # the weights keep the names they have in the bare network
        self.transformer = Transformer(model, operators)
        self.loss = LabelSmoothedLoss(self.transformer.embedding, model.vocab_size, model.label_smoothing, operators)

    def construct(self, source_ids: Tensor, source_positions: Tensor, source_segments: Tensor, source_mask: Tensor,
                  decoder_input_ids: Tensor, decoder_positions: Tensor, decoder_segments: Tensor, labels: Tensor,
                  dropout_seed: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sums of the smoothed loss and of the negative log-likelihood over the target tokens of a batch.

        The arguments are the fields of `Batch`, [batch, length] int32 each, and the seed [2] int32 of the dropout.
        """
        states = self.transformer(source_ids, source_positions, source_segments, source_mask, decoder_input_ids,
                                  decoder_positions, decoder_segments, dropout_seed)
        return self.loss(states, ops.reshape(labels, (-1,)))


class TransformerForScoring(nn.Cell):
    """The network as it scores given targets."""

    def __init__(self, network: TransformerForTrain):
        super().__init__(auto_prefix=False)
        self.transformer = network.transformer
        self.loss = network.loss

    def construct(self, source_ids: Tensor, source_positions: Tensor, source_segments: Tensor, source_mask: Tensor,
                  decoder_input_ids: Tensor, decoder_positions: Tensor, decoder_segments: Tensor, labels: Tensor,
                  dropout_seed: Tensor) -> Tensor:
        """Return the log-probability of each row's target, the sum of log p over its tokens without smoothing: [batch].

        The arguments are those of TransformerForTrain.
        """
        states = self.transformer(source_ids, source_positions, source_segments, source_mask, decoder_input_ids,
                                  decoder_positions, decoder_segments, dropout_seed)
        _, nll = self.loss.row_losses(states, ops.reshape(labels, (-1,)))
        return -ops.sum(ops.reshape(nll, labels.shape), -1)
