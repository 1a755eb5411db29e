"""The embedding table that source, target and output share."""
import math

from mindspore import Parameter, Tensor, nn, ops
from mindspore import dtype as mstype

from config.config import ModelConfig
from src.transformer.operators.interface import Operators
from src.transformer.positional_embedding import PositionalEmbedding
from src.utils.initializer import embedding_table


class Embedding(nn.Cell):
    """Token embeddings, scaled by sqrt(hidden_size), plus position encodings, with dropout.

    (Vaswani et al., 2017, 3.4 and 3.5.) The same table [vocab_size, hidden_size], unscaled, is the output projection
    (Press and Wolf, 2017).
    """

    def __init__(self, model: ModelConfig, operators: Operators, init_seed: int):
        super().__init__()
        table = embedding_table(model.vocab_size, model.hidden_size, model.initializer_range, init_seed)
        self.table = Parameter(Tensor(table))
        self.positions = PositionalEmbedding(model.max_position_embeddings, model.hidden_size,
                                             model.position_encoding)
        self.scale = math.sqrt(model.hidden_size)
        # Each side has an operator of its own: given the same seed, an operator drops the same elements.
        self.source_lookup = operators.embedding(self.scale, model.hidden_dropout_prob)
        self.target_lookup = operators.embedding(self.scale, model.hidden_dropout_prob)

    def embed_source(self, ids: Tensor, positions: Tensor, dropout_seed: Tensor) -> Tensor:
        """Return the encoder's input: ids and positions [batch, length] int32 -> [batch * length, hidden_size]."""
        return self.source_lookup(self.table, ops.reshape(ids, (-1,)), ops.reshape(positions, (-1,)),
                                  self.positions.encodings, dropout_seed)

    def embed_target(self, ids: Tensor, positions: Tensor, dropout_seed: Tensor) -> Tensor:
        """Return the decoder's input: ids and positions [batch, length] int32 -> [batch * length, hidden_size]."""
        return self.target_lookup(self.table, ops.reshape(ids, (-1,)), ops.reshape(positions, (-1,)),
                                  self.positions.encodings, dropout_seed)

    def logits(self, states: Tensor) -> Tensor:
        """Return the logits of decoder states: [rows, hidden_size] -> [rows, vocab_size]."""
        return ops.matmul(states.astype(mstype.float32), ops.transpose(self.table, (1, 0)))
