"""Attention of a sequence to itself, whole or one step at a time."""
from mindspore import Tensor, ops

from src.transformer.multi_head_attention import MultiHeadAttention


class SelfAttention(MultiHeadAttention):
    """Multi-head attention whose keys and values come from the queries' own sequence."""

    def construct(self, x: Tensor, query_segments: Tensor, key_segments: Tensor, seed: Tensor) -> Tensor:
        """x [batch * length, hidden_size], segments [batch, length]."""
        return self.look(x, x, query_segments, key_segments, seed)

    def step(self, x: Tensor, bias: Tensor, rows: Tensor, key_cache: Tensor, value_cache: Tensor) -> Tensor:
        """One search step: x [batch * beam_width, hidden_size] are the newest symbols of a sentence's hypotheses.

        The caches are parameters [batch * num_heads * max_length, beam_width * head_size]; `rows` [batch * num_heads]
        are the rows of the present step. What the hypotheses wrote is never moved: `bias`
        [batch, 1, beam_width, max_length * beam_width] shows each hypothesis the entries of its own ancestors.
        """
        batch, _, beam_width, _ = bias.shape
        keys, values = self.keys_values(x, batch)  # [batch, num_heads, beam_width, head_size]
        entry = (batch * self.num_heads, beam_width * self.head_size)
        keys = ops.scatter_update(key_cache, rows, ops.reshape(keys, entry))
        values = ops.scatter_update(value_cache, rows, ops.reshape(values, entry))
        history = (batch, self.num_heads, -1, self.head_size)
        return self.attend(x, ops.reshape(keys, history), ops.reshape(values, history), bias)[0]
