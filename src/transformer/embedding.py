"""The one embedding table: source, target and output share it."""
import math

from mindspore import Parameter, Tensor, nn, ops

from config.config import ModelConfig
from src.transformer.operators.interface import Operators
from src.transformer.positional_embedding import PositionalEmbedding
from src.utils.initializer import embedding_table


class Embedding(nn.Cell):
    """Look-up in a table [vocab_size, hidden_size], scaled by sqrt(hidden_size), plus positions, with dropout.

    (Vaswani et al., 2017, 3.4 and 3.5.) The same table, unscaled, turns decoder states into logits (Press and Wolf,
    2017).
    """

    def __init__(self, model: ModelConfig, operators: Operators, seed: int):
        super().__init__()
        table = embedding_table(model.vocab_size, model.hidden_size, model.initializer_range, seed)
        self.table = Parameter(Tensor(table))
        self.positions = PositionalEmbedding(model.max_position_embeddings, model.hidden_size)
        self.scale = math.sqrt(model.hidden_size)
        # One for each side, because an operator drops out the same entries whenever it is given the same seed.
        self.source_look_up, self.target_look_up = (
            operators.embedding(self.scale, model.hidden_dropout_prob) for _ in range(2))

    def source(self, ids: Tensor, positions: Tensor, seed: Tensor) -> Tensor:
        """What the encoder reads: see `construct`."""
        return self.source_look_up(self.table, ops.reshape(ids, (-1,)), ops.reshape(positions, (-1,)),
                                   self.positions.encodings, seed)

    def construct(self, ids: Tensor, positions: Tensor, seed: Tensor) -> Tensor:
        """What the decoder reads: int32 ids and positions, both [batch, length] -> [batch * length, hidden_size]."""
        return self.target_look_up(self.table, ops.reshape(ids, (-1,)), ops.reshape(positions, (-1,)),
                                   self.positions.encodings, seed)

    def logits(self, states: Tensor) -> Tensor:
        """[rows, hidden_size] -> [rows, vocab_size]."""
        return ops.matmul(states, ops.transpose(self.table, (1, 0)))
