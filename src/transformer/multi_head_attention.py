"""Multi-head attention."""
from mindspore import Tensor, nn
from mindspore import dtype as mstype

from config.config import ModelConfig
from src.transformer.dense import Dense, ProductAndBias
from src.transformer.operators.dot_product_attention import DotProductAttention, split_heads
from src.transformer.operators.interface import Operators


class MultiHeadAttention(nn.Cell):
    """Scaled dot-product attention with several heads, projected back to the hidden size (Vaswani et al., 2017, 3.2).

    Queries are projections of one sequence, keys and values of another, here named `key_value_states`. Sequences are
    flat, [batch * length, hidden_size]; segments define which keys a query attends to (Operators.attention).
    """

    def __init__(self, model: ModelConfig, operators: Operators, causal: bool, init_seed: int):
        super().__init__()
        hidden = model.hidden_size
        self.num_heads = model.num_attention_heads
        self.head_size = hidden // self.num_heads
        self.query = Dense(hidden, hidden, operators, init_seed)
        self.key = Dense(hidden, hidden, operators, init_seed + 1)
        self.value = Dense(hidden, hidden, operators, init_seed + 2)
        self.output = Dense(hidden, hidden, operators, init_seed + 3)
        self.attention = self.make_attention(operators, model.attention_dropout_prob, causal)
        self.dot_product_attention = DotProductAttention(mstype.float32)  # for attend_with_weights

    def make_attention(self, operators: Operators, dropout: float, causal: bool) -> nn.Cell:
        """Return the operator that computes the context."""
        return operators.cross_attention(self.num_heads, dropout, causal)

    def construct(self, x: Tensor, key_value_states: Tensor, query_segments: Tensor, key_segments: Tensor,
                  dropout_seed: Tensor) -> ProductAndBias:
        """See `attend`."""
        return self.attend(x, key_value_states, query_segments, key_segments, dropout_seed)

    def attend(self, x: Tensor, key_value_states: Tensor, query_segments: Tensor, key_segments: Tensor,
               dropout_seed: Tensor) -> ProductAndBias:
        """Attend to `key_value_states` within segments.

        Args:
            x: [batch * query_len, hidden_size].
            key_value_states: [batch * key_len, hidden_size].
            query_segments: [batch, query_len] int32.
            key_segments: [batch, key_len] int32, negative where masked.
            dropout_seed: [2] int32.

        Returns:
            product [batch * query_len, hidden_size] and bias [hidden_size] of the output projection, still to be added.
        """
        context = self.attention(x, key_value_states, self.query.weight, self.key.weight, self.value.weight,
                                 self.query.bias, self.key.bias, self.value.bias, query_segments, key_segments,
                                 dropout_seed)
        return self.output.product_and_bias(context)

    def keys_values(self, key_value_states: Tensor, batch: int) -> tuple[Tensor, Tensor]:
        """[batch * key_len, hidden_size] -> keys and values, [batch, num_heads, key_len, head_size] each."""
        return (split_heads(self.key(key_value_states), batch, self.num_heads),
                split_heads(self.value(key_value_states), batch, self.num_heads))

    def attend_with_weights(self, x: Tensor, keys: Tensor, values: Tensor,
                            bias: Tensor) -> tuple[ProductAndBias, Tensor]:
        """Attend to given keys and values, without dropout, and return the weights as well.

        Args:
            x: [batch * query_len, hidden_size].
            keys, values: [batch, num_heads, key_len, head_size].
            bias: is added to the scores and masks keys; it broadcasts to the shape of the weights.

        Returns:
            product and bias as `attend` returns them, and the weights [batch, num_heads, query_len, key_len].
        """
        queries = split_heads(self.query(x), keys.shape[0], self.num_heads)
        weights = self.dot_product_attention.weights(queries, keys, bias)
        return self.output.product_and_bias(self.dot_product_attention.context(weights, values)), weights
