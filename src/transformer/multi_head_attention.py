"""Scaled dot-product attention with several heads."""
import math

from mindspore import Tensor, nn, ops

from config.config import ModelConfig
from src.transformer.dense import Dense
from src.transformer.operators.choice import Operators


class MultiHeadAttention(nn.Cell):
    """softmax(q k^T / sqrt(head_size)) v for each head, projected back (Vaswani et al., 2017, 3.2).

    Queries come from one sequence, keys and values from `memory`, which may be another one. Sequences are flat,
    [batch * length, hidden_size]; who sees whom is told by segments (operators/plain.py, Attention). The bias of the
    last projection, `output`, is left to the residual connection.
    """

    def __init__(self, model: ModelConfig, operators: Operators, causal: bool, seed: int):
        super().__init__()
        hidden = model.hidden_size
        self.num_heads = model.num_attention_heads
        self.head_size = hidden // self.num_heads
        self.scale = 1.0 / math.sqrt(self.head_size)
        self.query = Dense(hidden, hidden, operators, seed)
        self.key = Dense(hidden, hidden, operators, seed + 1)
        self.value = Dense(hidden, hidden, operators, seed + 2)
        self.output = Dense(hidden, hidden, operators, seed + 3)
        self.attention = operators.attention(self.num_heads, model.attention_dropout_prob, causal)
        self.scores = ops.BatchMatMul(transpose_b=True)
        self.mix = ops.BatchMatMul()

    def construct(self, x: Tensor, memory: Tensor, query_segments: Tensor, key_segments: Tensor,
                  seed: Tensor) -> Tensor:
        return self.look(x, memory, query_segments, key_segments, seed)

    def look(self, x: Tensor, memory: Tensor, query_segments: Tensor, key_segments: Tensor, seed: Tensor) -> Tensor:
        """x [batch * query_len, hidden_size], memory [batch * key_len, hidden_size] -> the shape of x."""
        mixed = self.attention(self.query.product(x), self.key.product(memory), self.value.product(memory),
                               self.query.bias, self.key.bias, self.value.bias, query_segments, key_segments, seed)
        return self.output.product(mixed)

    def split_heads(self, x: Tensor, batch: int) -> Tensor:
        """[batch * length, hidden_size] -> [batch, num_heads, length, head_size]."""
        return ops.transpose(ops.reshape(x, (batch, -1, self.num_heads, self.head_size)), (0, 2, 1, 3))

    def keys_values(self, memory: Tensor, batch: int) -> tuple[Tensor, Tensor]:
        """[batch * key_len, hidden_size] -> keys and values, each [batch, num_heads, key_len, head_size]."""
        return self.split_heads(self.key(memory), batch), self.split_heads(self.value(memory), batch)

    def attend(self, x: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
        """As `construct`, without dropout, for the search, which keeps keys and values; `bias` hides some of them.

        `bias` broadcasts to [batch, num_heads, query_len, key_len].
        """
        queries = self.split_heads(self.query(x) * self.scale, keys.shape[0])
        weights = ops.softmax(self.scores(queries, keys) + bias, -1)
        mixed = self.mix(weights, values)  # [batch, num_heads, query_len, head_size]
        return self.output.product(ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), x.shape))
