"""Scaled dot-product attention with several heads."""
from mindspore import Tensor, nn
from mindspore import dtype as mstype

from config.config import ModelConfig
from src.transformer.dense import Dense
from src.transformer.operators.interface import Operators
from src.transformer.operators.mindspore_operators import DotProductAttention, split_heads


class MultiHeadAttention(nn.Cell):
    """softmax(q k^T / sqrt(head_size)) v for each head, projected back (Vaswani et al., 2017, 3.2).

    Queries come from one sequence, keys and values from `memory`, which may be another one. Sequences are flat,
    [batch * length, hidden_size]; who sees whom is told by segments (operators/interface.py). The bias of the last
    projection, `output`, is left to the residual connection.
    """

    def __init__(self, model: ModelConfig, operators: Operators, causal: bool, seed: int):
        super().__init__()
        hidden = model.hidden_size
        self.num_heads = model.num_attention_heads
        self.head_size = hidden // self.num_heads
        self.query = Dense(hidden, hidden, operators, seed)
        self.key = Dense(hidden, hidden, operators, seed + 1)
        self.value = Dense(hidden, hidden, operators, seed + 2)
        self.output = Dense(hidden, hidden, operators, seed + 3)
        self.attention = operators.attention(self.num_heads, model.attention_dropout_prob, causal)
        self.dot_product = DotProductAttention(mstype.float32)  # of single steps

    def construct(self, x: Tensor, memory: Tensor, query_segments: Tensor, key_segments: Tensor,
                  seed: Tensor) -> Tensor:
        return self.look(x, memory, query_segments, key_segments, seed)

    def look(self, x: Tensor, memory: Tensor, query_segments: Tensor, key_segments: Tensor, seed: Tensor) -> Tensor:
        """x [batch * query_len, hidden_size], memory [batch * key_len, hidden_size] -> the shape of x."""
        mixed = self.attention(self.query.product(x), self.key.product(memory), self.value.product(memory),
                               self.query.bias, self.key.bias, self.value.bias, query_segments, key_segments, seed)
        return self.output.product(mixed)

    def keys_values(self, memory: Tensor, batch: int) -> tuple[Tensor, Tensor]:
        """[batch * key_len, hidden_size] -> keys and values, each [batch, num_heads, key_len, head_size]."""
        return (split_heads(self.key(memory), batch, self.num_heads),
                split_heads(self.value(memory), batch, self.num_heads))

    def attend(self, x: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """As `construct`, without dropout, for the search, which keeps keys and values; `bias` hides some of them.

        `bias` broadcasts to [batch, num_heads, query_len, key_len], the shape of the weights that are returned besides.
        """
        queries = split_heads(self.query(x), keys.shape[0], self.num_heads)
        weights = self.dot_product.weights(queries, keys, bias)
        return self.output.product(self.dot_product.mixed(weights, values)), weights
