"""Attention of a sequence to itself, over the whole sequence or one step at a time."""
from mindspore import Tensor, nn, ops

from config.config import ModelConfig
from src.transformer.dense import ProductAndBias
from src.transformer.multi_head_attention import MultiHeadAttention
from src.transformer.operators.interface import Operators


class SelfAttention(MultiHeadAttention):
    """Multi-head attention whose keys and values are projections of the same sequence as the queries."""

    def __init__(self, model: ModelConfig, operators: Operators, causal: bool, init_seed: int):
        super().__init__(model, operators, causal, init_seed)
        self.scatter_update = ops.ScatterUpdate()

    def make_attention(self, operators: Operators, dropout: float, causal: bool) -> nn.Cell:
        """See MultiHeadAttention."""
        return operators.self_attention(self.num_heads, dropout, causal)

    def construct(self, x: Tensor, query_segments: Tensor, key_segments: Tensor,
                  dropout_seed: Tensor) -> ProductAndBias:
        """x [batch * length, hidden_size], segments [batch, length]; see MultiHeadAttention.attend."""
        context = self.attention(x, self.query.weight, self.key.weight, self.value.weight, self.query.bias,
                                 self.key.bias, self.value.bias, query_segments, key_segments, dropout_seed)
        return self.output.product_and_bias(context)

    def step(self, x: Tensor, bias: Tensor, rows: Tensor, key_cache: Tensor, value_cache: Tensor) -> ProductAndBias:
        """Attend from the newest token of each hypothesis to the cached tokens before it.

        The keys and values of the newest tokens are written to the caches. Entries are never moved when the search
        reorders its hypotheses: `bias` masks those that are not of a hypothesis' own ancestors.

        Args:
            x: [batch * beam_width, hidden_size], the newest tokens.
            bias: [batch, 1, beam_width, max_length * beam_width], 0 at the ancestors of each hypothesis and itself.
            rows: [batch * num_heads] int32, the rows of the caches that belong to this step.
            key_cache, value_cache: parameters [batch * num_heads * max_length, beam_width * head_size].

        Returns:
            product and bias as `attend` returns them.
        """
        batch, _, beam_width, _ = bias.shape
        keys, values = self.keys_values(x, batch)  # [batch, num_heads, beam_width, head_size]
        entry = (batch * self.num_heads, beam_width * self.head_size)
        keys = self.scatter_update(key_cache, rows, ops.reshape(keys, entry))
        values = self.scatter_update(value_cache, rows, ops.reshape(values, entry))
        history = (batch, self.num_heads, -1, self.head_size)
        return self.attend_with_weights(x, ops.reshape(keys, history), ops.reshape(values, history), bias)[0]
