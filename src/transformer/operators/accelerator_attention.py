"""Attention for accelerators: the projections of queries, keys and values are one product.

SelfAttention and CrossAttention project; the attention itself is ComposedAttention, of separate operators, or
FlashAttention, one kernel of Ascend.
"""
import math

from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype
from mindspore.common.seed import _get_graph_seed
from mindspore.ops.operations import DropoutGenMask

from src.transformer.create_attn_mask import segment_bias, segment_mask


class ComposedAttention(nn.Cell):
    """Attention of projected queries, keys and values within segments, with the scores in device memory."""

    def __init__(self, num_heads: int, dropout: float, causal: bool, compute_type: mstype.Type):
        super().__init__()
        self.num_heads, self.causal, self.compute_type = num_heads, causal, compute_type
        self.dropout = nn.Dropout(p=dropout)
        self.matmul_keys = ops.BatchMatMul(transpose_b=True)
        self.matmul_values = ops.BatchMatMul()

    def separate(self, product: Tensor, count: int) -> tuple[Tensor, ...]:
        """Return the `count` projections in product [batch, length, count * hidden], in the layout of `construct`."""
        batch, length, width = product.shape
        parts = ops.reshape(product, (batch, length, count * self.num_heads, width // count // self.num_heads))
        heads = ops.transpose(parts, (0, 2, 1, 3))
        return (heads,) if count == 1 else ops.split(heads, self.num_heads, 1)

    def construct(self, q: Tensor, k: Tensor, v: Tensor, query_segments: Tensor, key_segments: Tensor) -> Tensor:
        """Return the context [batch * query_len, hidden] in the compute type.

        q [batch, num_heads, query_len, head_size], k and v [batch, num_heads, key_len, head_size]; the segments are
        explained at Operators.attention.
        """
        _, num_heads, _, head_size = q.shape
        scores = self.matmul_keys(q * (1.0 / math.sqrt(head_size)), k).astype(mstype.float32)
        weights = ops.softmax(scores + segment_bias(query_segments, key_segments, self.causal), -1)
        context = self.matmul_values(self.dropout(weights.astype(self.compute_type)), v)
        return ops.reshape(ops.transpose(context, (0, 2, 1, 3)), (-1, num_heads * head_size))


class FlashAttention(nn.Cell):
    """Attention in one kernel that stores no scores (Dao et al., 2022): FlashAttentionScore of Ascend.

    It takes keys in multiples of 8 if there is dropout, because a byte of its dropout mask holds 8 of them, and heads
    in multiples of 16. Other shapes get ComposedAttention. A query without any key, which only padding has, gets an
    undefined context here too.
    """

    def __init__(self, num_heads: int, dropout: float, causal: bool, compute_type: mstype.Type):
        super().__init__()
        self.num_heads, self.causal, self.compute_type, self.keep = num_heads, causal, compute_type, 1.0 - dropout
        self.composed = ComposedAttention(num_heads, dropout, causal, compute_type)
        self.slice = ops.Slice()
        self.random_bits = DropoutGenMask(*_get_graph_seed(0, "dropout"))  # the seeds of nn.Dropout

    def separate(self, product: Tensor, count: int) -> tuple[Tensor, ...]:
        """Return the `count` projections in product [batch, length, count * hidden], in the layout of `construct`."""
        return (product,) if count == 1 else ops.split(product, product.shape[2] // count, 2)

    def construct(self, q: Tensor, k: Tensor, v: Tensor, query_segments: Tensor, key_segments: Tensor) -> Tensor:
        """Return the context [batch * query_len, hidden] in the compute type.

        q [batch, query_len, hidden], k and v [batch, key_len, hidden]; the segments are explained at
        Operators.attention.
        """
        batch, query_len, hidden = q.shape
        key_len, head_size, dropped = k.shape[1], hidden // self.num_heads, self.training and self.keep < 1.0
        if head_size % 16 or (dropped and key_len % 8):
            heads = [self.composed.separate(x, 1)[0] for x in (q, k, v)]
            return self.composed(heads[0], heads[1], heads[2], query_segments, key_segments)
        discarded = ops.logical_not(segment_mask(query_segments, key_segments, self.causal))
        bits, keep = None, 1.0
        if dropped:
            shape, keep = (batch, self.num_heads, query_len, key_len), self.keep
            size = batch * self.num_heads * query_len * key_len // 8
            bits = self.random_bits(shape, Tensor(keep, mstype.float32))  # padded to a multiple of 16 bytes
            if size % 16:
                bits = self.slice(bits, (0,), (size,))
            bits = ops.reshape(bits, (batch, self.num_heads, query_len, key_len // 8))
        context = ops.flash_attention_score(q, k, v, self.num_heads, drop_mask=bits, attn_mask=discarded,
                                            keep_prob=keep, scalar_value=1.0 / math.sqrt(head_size))
        return ops.reshape(context, (-1, hidden))


class _Projecting(nn.Cell):
    """Computes projections in the compute type of `core`, which attends."""

    def __init__(self, core: ComposedAttention | FlashAttention):
        super().__init__()
        self.core, self.compute_type = core, core.compute_type
        self.matmul = ops.MatMul(transpose_b=True)

    def project(self, x: Tensor, weights: tuple[Tensor, ...], biases: tuple[Tensor, ...],
                batch: int) -> tuple[Tensor, ...]:
        """Return the projections of x [batch * length, hidden] by weights [hidden, hidden] with biases [hidden]."""
        count, hidden = len(weights), x.shape[1]
        weight = (weights[0] if count == 1 else ops.concat(weights)).astype(self.compute_type)
        bias = (biases[0] if count == 1 else ops.concat(biases)).astype(self.compute_type)
        product = self.matmul(x.astype(self.compute_type), weight) + bias
        return self.core.separate(ops.reshape(product, (batch, -1, count * hidden)), count)


class SelfAttention(_Projecting):
    """See Operators.self_attention."""

    def construct(self, x: Tensor, query_weight: Tensor, key_weight: Tensor, value_weight: Tensor, query_bias: Tensor,
                  key_bias: Tensor, value_bias: Tensor, query_segments: Tensor, key_segments: Tensor,
                  dropout_seed: Tensor) -> Tensor:
        q, k, v = self.project(x, (query_weight, key_weight, value_weight), (query_bias, key_bias, value_bias),
                               query_segments.shape[0])
        return self.core(q, k, v, query_segments, key_segments)


class CrossAttention(_Projecting):
    """See Operators.cross_attention."""

    def construct(self, x: Tensor, key_value_states: Tensor, query_weight: Tensor, key_weight: Tensor,
                  value_weight: Tensor, query_bias: Tensor, key_bias: Tensor, value_bias: Tensor,
                  query_segments: Tensor, key_segments: Tensor, dropout_seed: Tensor) -> Tensor:
        batch = query_segments.shape[0]
        q = self.project(x, (query_weight,), (query_bias,), batch)[0]
        k, v = self.project(key_value_states, (key_weight, value_weight), (key_bias, value_bias), batch)
        return self.core(q, k, v, query_segments, key_segments)
