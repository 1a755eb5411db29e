"""Attention as C kernels: the core alone, and with the products before it, whose inputs are rounded to bfloat16."""
from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype

from src.transformer.operators.c_products import ProductKernels, Round
from src.transformer.operators.kernel_cells import DropoutKernelCell


class AttentionKernels(DropoutKernelCell):
    """The kernels of the core, with their constant arguments.

    The context is 0 where a query has no key to attend to.

    Args:
        result: the type of the context and of the gradients of queries, keys and values.
    """

    def __init__(self, library: str, num_heads: int, dropout: float, causal: bool, site: int, result: mstype.Type):
        super().__init__(library, dropout, site)
        self.options = Tensor([num_heads, causal], mstype.int32)
        # -> context, log-sum-exp of each query's scores, which the gradient needs
        self.forward = self.kernel("attention_forward", lambda *s: (s[0], [s[6][0], num_heads, s[6][1]]),
                                   lambda *t: (result, t[0]))
        # inputs: gradient of the context, queries, keys, values, their biases, ...
        self.backward = self.kernel("attention_backward", lambda *s: tuple(s[1:7]),
                                    lambda *t: (result, result, result, t[4], t[5], t[6]))


class Attention(nn.Cell):
    """See Operators.attention."""

    def __init__(self, kernels: AttentionKernels):
        super().__init__()
        self.kernels = kernels
        self.with_log_sums = _AttentionWithLogSums(kernels)

    def construct(self, queries: Tensor, keys: Tensor, values: Tensor, query_bias: Tensor, key_bias: Tensor,
                  value_bias: Tensor, query_segments: Tensor, key_segments: Tensor, dropout_seed: Tensor) -> Tensor:
        return self.with_log_sums(queries, keys, values, query_bias, key_bias, value_bias, query_segments,
                                  key_segments, dropout_seed, self.kernels.probability())[0]


class RoundedSelfAttention(nn.Cell):
    """See Operators.self_attention."""

    def __init__(self, kernels: AttentionKernels, products: ProductKernels):
        super().__init__()
        self.kernels = kernels
        self.round = Round(products)
        self.with_saved = _SelfAttentionWithSaved(kernels, products)

    def construct(self, x: Tensor, query_weight: Tensor, key_weight: Tensor, value_weight: Tensor, query_bias: Tensor,
                  key_bias: Tensor, value_bias: Tensor, query_segments: Tensor, key_segments: Tensor,
                  dropout_seed: Tensor) -> Tensor:
        return self.with_saved(self.round(x), query_weight, key_weight, value_weight, query_bias, key_bias, value_bias,
                               query_segments, key_segments, dropout_seed, self.kernels.probability())[0]


class RoundedCrossAttention(nn.Cell):
    """See Operators.cross_attention."""

    def __init__(self, kernels: AttentionKernels, products: ProductKernels):
        super().__init__()
        self.kernels = kernels
        self.round = Round(products)
        self.with_saved = _CrossAttentionWithSaved(kernels, products)

    def construct(self, x: Tensor, key_value_states: Tensor, query_weight: Tensor, key_weight: Tensor,
                  value_weight: Tensor, query_bias: Tensor, key_bias: Tensor, value_bias: Tensor,
                  query_segments: Tensor, key_segments: Tensor, dropout_seed: Tensor) -> Tensor:
        return self.with_saved(self.round(x), self.round(key_value_states), query_weight, key_weight, value_weight,
                               query_bias, key_bias, value_bias, query_segments, key_segments, dropout_seed,
                               self.kernels.probability())[0]


class _WithSaved(nn.Cell):
    """A cell that returns, after its result, what the gradient needs; only the result has a gradient."""

    def __init__(self, kernels: AttentionKernels):
        super().__init__()
        self.forward, self.backward = kernels.forward, kernels.backward
        self.options, self.site = kernels.options, kernels.site


class _AttentionWithLogSums(_WithSaved):
    def construct(self, q, k, v, qb, kb, vb, query_segments, key_segments, dropout_seed, probability):
        return self.forward(q, k, v, qb, kb, vb, query_segments, key_segments, self.options, dropout_seed, self.site,
                            probability)

    def bprop(self, q, k, v, qb, kb, vb, query_segments, key_segments, dropout_seed, probability, out, dout):
        gradients = self.backward(dout[0], q, k, v, qb, kb, vb, query_segments, key_segments, self.options,
                                  dropout_seed, self.site, probability, out[1])
        return (*gradients, ops.zeros_like(query_segments), ops.zeros_like(key_segments),
                ops.zeros_like(dropout_seed), ops.zeros_like(probability))


class _SelfAttentionWithSaved(_WithSaved):
    """Saves the log-sums, the products and the rounded weights (qw, kw, vw)."""

    def __init__(self, kernels: AttentionKernels, products: ProductKernels):
        super().__init__(kernels)
        self.project, self.project_backward = products.forward(3), products.backward(3)

    def construct(self, x, query_weight, key_weight, value_weight, qb, kb, vb, query_segments, key_segments,
                  dropout_seed, probability):
        q, k, v, qw, kw, vw = self.project(x, query_weight, key_weight, value_weight)
        context, log_sums = self.forward(q, k, v, qb, kb, vb, query_segments, key_segments, self.options, dropout_seed,
                                         self.site, probability)
        return context, log_sums, q, k, v, qw, kw, vw

    def bprop(self, x, query_weight, key_weight, value_weight, qb, kb, vb, query_segments, key_segments, dropout_seed,
              probability, out, dout):
        _, log_sums, q, k, v, qw, kw, vw = out
        dq, dk, dv, dqb, dkb, dvb = self.backward(dout[0], q, k, v, qb, kb, vb, query_segments, key_segments,
                                                  self.options, dropout_seed, self.site, probability, log_sums)
        dx, dqw, dkw, dvw = self.project_backward(x, qw, kw, vw, dq, dk, dv)
        return (dx, dqw, dkw, dvw, dqb, dkb, dvb, ops.zeros_like(query_segments), ops.zeros_like(key_segments),
                ops.zeros_like(dropout_seed), ops.zeros_like(probability))


class _CrossAttentionWithSaved(_WithSaved):
    """Saves the log-sums, the products and the rounded weights (qw, kw, vw)."""

    def __init__(self, kernels: AttentionKernels, products: ProductKernels):
        super().__init__(kernels)
        self.project, self.project_backward = products.forward(1), products.backward(1)
        self.project_keys, self.project_keys_backward = products.forward(2), products.backward(2)

    def construct(self, x, states, query_weight, key_weight, value_weight, qb, kb, vb, query_segments, key_segments,
                  dropout_seed, probability):
        q, qw = self.project(x, query_weight)
        k, v, kw, vw = self.project_keys(states, key_weight, value_weight)
        context, log_sums = self.forward(q, k, v, qb, kb, vb, query_segments, key_segments, self.options, dropout_seed,
                                         self.site, probability)
        return context, log_sums, q, k, v, qw, kw, vw

    def bprop(self, x, states, query_weight, key_weight, value_weight, qb, kb, vb, query_segments, key_segments,
              dropout_seed, probability, out, dout):
        _, log_sums, q, k, v, qw, kw, vw = out
        dq, dk, dv, dqb, dkb, dvb = self.backward(dout[0], q, k, v, qb, kb, vb, query_segments, key_segments,
                                                  self.options, dropout_seed, self.site, probability, log_sums)
        dx, dqw = self.project_backward(x, qw, dq)
        dstates, dkw, dvw = self.project_keys_backward(states, kw, vw, dk, dv)
        return (dx, dstates, dqw, dkw, dvw, dqb, dkb, dvb, ops.zeros_like(query_segments),
                ops.zeros_like(key_segments), ops.zeros_like(dropout_seed), ops.zeros_like(probability))
