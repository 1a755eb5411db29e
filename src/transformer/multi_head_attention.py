"""Scaled dot-product attention with several heads."""
import math

from mindspore import Tensor, nn, ops

from src.transformer.dense import Dense


class MultiHeadAttention(nn.Cell):
    """softmax(q k^T / sqrt(head_size) + bias) v for each head, projected back (Vaswani et al., 2017, 3.2).

    Queries come from one sequence, keys and values from `memory`, which may be another one. Sequences are flat,
    [batch * length, hidden_size]; `batch` says how many there are.
    """

    def __init__(self, hidden_size: int, num_heads: int, dropout: float, seed: int):
        super().__init__()
        self.num_heads = num_heads
        self.head_size = hidden_size // num_heads
        self.scale = 1.0 / math.sqrt(self.head_size)
        self.query = Dense(hidden_size, hidden_size, seed)
        self.key = Dense(hidden_size, hidden_size, seed + 1)
        self.value = Dense(hidden_size, hidden_size, seed + 2)
        self.output = Dense(hidden_size, hidden_size, seed + 3)
        self.dropout = nn.Dropout(p=dropout)
        self.scores = ops.BatchMatMul(transpose_b=True)
        self.mix = ops.BatchMatMul()

    def split_heads(self, x: Tensor, batch: int) -> Tensor:
        """[batch * length, hidden_size] -> [batch, num_heads, length, head_size]."""
        return ops.transpose(ops.reshape(x, (batch, -1, self.num_heads, self.head_size)), (0, 2, 1, 3))

    def keys_values(self, memory: Tensor, batch: int) -> tuple[Tensor, Tensor]:
        """[batch * key_len, hidden_size] -> keys and values, each [batch, num_heads, key_len, head_size]."""
        return self.split_heads(self.key(memory), batch), self.split_heads(self.value(memory), batch)

    def attend(self, x: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
        """x [batch * query_len, hidden_size] looks at given keys and values; the result has the shape of x.

        `bias` broadcasts to [batch, num_heads, query_len, key_len].
        """
        queries = self.split_heads(self.query(x) * self.scale, keys.shape[0])
        weights = ops.softmax(self.scores(queries, keys) + bias, -1)
        mixed = self.mix(self.dropout(weights), values)  # [batch, num_heads, query_len, head_size]
        return self.output(ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), x.shape))

    def construct(self, x: Tensor, memory: Tensor, bias: Tensor) -> Tensor:
        keys, values = self.keys_values(memory, bias.shape[0])
        return self.attend(x, keys, values, bias)
