"""The operators as C kernels (native/*.c), for the CPU.

Each is a cell whose forward and backward pass are one kernel each. All matrices are float32 and flat, [rows, columns].
Dropout masks follow from the step's seed ([2] int32) and the number of the dropout in the network, so that they are
drawn again in the backward pass, and come out the same when a run is repeated or resumed.
"""
import ctypes
from itertools import count

import numpy as np
from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype

from src.transformer.operators import mindspore_operators


def _like(*inputs: int):
    """(shapes, types) functions of a kernel whose outputs look like these of its inputs."""
    if len(inputs) == 1:
        return (lambda *shapes: shapes[inputs[0]]), (lambda *types: types[inputs[0]])
    return (lambda *shapes: tuple(shapes[i] for i in inputs)), (lambda *types: tuple(types[i] for i in inputs))


class COperators:
    """The operators of one network as C kernels; `kernel_library` is the path of the compiled library."""

    def __init__(self, kernel_library: str):
        self.kernel_library = kernel_library
        self._sites = count()

    def matmul(self) -> nn.Cell:
        """As MindSpore has it where oneDNN, which the kernel needs, is not within reach."""
        if not ctypes.CDLL(self.kernel_library).products_available():
            return mindspore_operators.MindSporeOperators().matmul()
        return _Product(self.kernel_library)

    def sum_of_squares(self) -> nn.Cell:
        return _SumOfSquares(self.kernel_library)

    def layer_norm(self, epsilon: float) -> nn.Cell:
        return _LayerNorm(self.kernel_library, epsilon)

    def residual(self, dropout: float) -> nn.Cell:
        return _Residual(self.kernel_library, dropout, next(self._sites))

    def activation(self, name: str, dropout: float) -> nn.Cell:
        """ReLU; others as MindSpore has them."""
        if name != "relu":
            return mindspore_operators.MindSporeOperators().activation(name, dropout)
        return _Relu(self.kernel_library, dropout, next(self._sites))

    def attention(self, num_heads: int, dropout: float, causal: bool) -> nn.Cell:
        return _Attention(self.kernel_library, num_heads, dropout, causal, next(self._sites))

    def embedding(self, scale: float, dropout: float) -> nn.Cell:
        return _Embedding(self.kernel_library, scale, dropout, next(self._sites))

    def cross_entropy(self, target_weight: float, other_weight: float) -> nn.Cell:
        return _CrossEntropy(self.kernel_library, self.matmul(), target_weight, other_weight)


class _Kernels(nn.Cell):
    """A cell that runs kernels of the library."""

    def __init__(self, library: str):
        super().__init__()
        self._library = library

    def kernel(self, name: str, shapes, types) -> ops.Custom:
        return ops.Custom(f"{self._library}:{name}", shapes, types, "aot")


class _WithDropout(_Kernels):
    """A cell that drops out at place `site` of the network."""

    def __init__(self, library: str, dropout: float, site: int):
        super().__init__(library)
        self.site = Tensor([site], mstype.int32)
        self.dropout = Tensor([dropout], mstype.float32)
        self.no_dropout = Tensor([0.0], mstype.float32)

    def probability(self) -> Tensor:
        return self.dropout if self.training else self.no_dropout


class _Product(_Kernels):
    """x weight^T for x [rows, in_features], weight [out_features, in_features]."""

    def __init__(self, library: str):
        super().__init__(library)
        self.forward = self.kernel("product_forward", lambda *s: [s[0][0], s[1][0]], lambda *t: t[0])
        self.backward = self.kernel("product_backward", *_like(1, 2))

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.forward(x, weight)

    def bprop(self, x, weight, out, dout):
        return self.backward(dout, x, weight)


class _SumOfSquares(_Kernels):
    """Sum of the squares of a float32 tensor of any shape, [1]."""

    def __init__(self, library: str):
        super().__init__(library)
        self.forward = self.kernel("sum_of_squares", lambda *s: [1], lambda *t: t[0])

    def construct(self, x: Tensor) -> Tensor:
        return self.forward(x)


class _LayerNorm(_Kernels):
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta for x [rows, columns]."""

    def __init__(self, library: str, epsilon: float):
        super().__init__(library)
        forward = self.kernel("norm_forward", lambda *s: (s[0], [s[0][0], 2]), lambda *t: (t[0], t[0]))
        backward = self.kernel("norm_backward", lambda *s: (s[0], s[3], s[3]), lambda *t: (t[0], t[0], t[0]))
        self.run = _LayerNormWithStatistics(forward, backward, Tensor([epsilon], mstype.float32))

    def construct(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        return self.run(x, gamma, beta)[0]


class _LayerNormWithStatistics(nn.Cell):
    """The norm, and the mean and factor of each row, which its gradient needs."""

    def __init__(self, forward: ops.Custom, backward: ops.Custom, epsilon: Tensor):
        super().__init__()
        self.forward, self.backward, self.epsilon = forward, backward, epsilon

    def construct(self, x, gamma, beta):
        return self.forward(x, gamma, beta, self.epsilon)

    def bprop(self, x, gamma, beta, out, dout):
        return self.backward(dout[0], x, out[1], gamma)


class _Residual(_WithDropout):
    """x + dropout(product + bias) for x and product [rows, columns], bias [columns]."""

    def __init__(self, library: str, dropout: float, site: int):
        super().__init__(library, dropout, site)
        self.forward = self.kernel("residual_forward", *_like(0))
        self.backward = self.kernel("residual_backward", lambda *s: (s[0], [s[0][1]]), lambda *t: (t[0], t[0]))

    def construct(self, x: Tensor, product: Tensor, bias: Tensor, seed: Tensor) -> Tensor:
        return self.forward(x, product, bias, seed, self.site, self.probability())

    def bprop(self, x, product, bias, seed, out, dout):
        dproduct, dbias = self.backward(dout, seed, self.site, self.probability())
        return dout, dproduct, dbias, ops.zeros_like(seed)


class _Relu(_WithDropout):
    """dropout(relu(product + bias)) for product [rows, columns], bias [columns]."""

    def __init__(self, library: str, dropout: float, site: int):
        super().__init__(library, dropout, site)
        self.forward = self.kernel("relu_forward", *_like(0))
        self.backward = self.kernel("relu_backward", lambda *s: (s[0], [s[0][1]]), lambda *t: (t[0], t[0]))

    def construct(self, product: Tensor, bias: Tensor, seed: Tensor) -> Tensor:
        return self.forward(product, bias, seed, self.site, self.probability())

    def bprop(self, product, bias, seed, out, dout):
        dproduct, dbias = self.backward(dout, out, self.probability())
        return dproduct, dbias, ops.zeros_like(seed)


class _Attention(_WithDropout):
    """See mindspore_operators.Attention: the same arguments and result, but zeros where a query has nothing to see."""

    def __init__(self, library: str, num_heads: int, dropout: float, causal: bool, site: int):
        super().__init__(library, dropout, site)
        options = Tensor([num_heads, causal], mstype.int32)
        forward = self.kernel("attention_forward",
                              lambda *s: (s[0], [s[6][0], num_heads, s[6][1]]), lambda *t: (t[0], t[0]))
        # inputs: dout, queries, keys, values, their biases, ...
        backward = self.kernel("attention_backward", *_like(1, 2, 3, 4, 5, 6))
        self.run = _AttentionWithLogSums(forward, backward, options, self.site)

    def construct(self, queries: Tensor, keys: Tensor, values: Tensor, query_bias: Tensor, key_bias: Tensor,
                  value_bias: Tensor, query_segments: Tensor, key_segments: Tensor, seed: Tensor) -> Tensor:
        return self.run(queries, keys, values, query_bias, key_bias, value_bias, query_segments, key_segments, seed,
                        self.probability())[0]


class _AttentionWithLogSums(nn.Cell):
    """The attention, and the log-sum-exp of each query's scores, which its gradient needs."""

    def __init__(self, forward: ops.Custom, backward: ops.Custom, options: Tensor, site: Tensor):
        super().__init__()
        self.forward, self.backward, self.options, self.site = forward, backward, options, site

    def construct(self, q, k, v, qb, kb, vb, query_segments, key_segments, seed, probability):
        return self.forward(q, k, v, qb, kb, vb, query_segments, key_segments, self.options, seed, self.site,
                            probability)

    def bprop(self, q, k, v, qb, kb, vb, query_segments, key_segments, seed, probability, out, dout):
        gradients = self.backward(dout[0], q, k, v, qb, kb, vb, query_segments, key_segments, self.options, seed,
                                  self.site, probability, out[1])
        return (*gradients, ops.zeros_like(query_segments), ops.zeros_like(key_segments), ops.zeros_like(seed),
                ops.zeros_like(probability))


class _Embedding(_WithDropout):
    """dropout(table[ids] * scale + position_table[positions]) for ids and positions [rows] int32."""

    def __init__(self, library: str, scale: float, dropout: float, site: int):
        super().__init__(library, dropout, site)
        self.scale = Tensor([scale], mstype.float32)
        self.forward = self.kernel("embed_forward", lambda *s: [s[1][0], s[0][1]], lambda *t: t[0])
        self.backward = self.kernel("embed_backward", lambda *s: s[2], lambda *t: t[0])

    def construct(self, table: Tensor, ids: Tensor, positions: Tensor, position_table: Tensor, seed: Tensor) -> Tensor:
        return self.forward(table, ids, positions, position_table, self.scale, seed, self.site, self.probability())

    def bprop(self, table, ids, positions, position_table, seed, out, dout):
        dtable = self.backward(dout, ids, table, self.scale, seed, self.site, self.probability())
        return (dtable, ops.zeros_like(ids), ops.zeros_like(positions), ops.zeros_like(position_table),
                ops.zeros_like(seed))


class _CrossEntropy(_Kernels):
    """See mindspore_operators.CrossEntropy."""

    def __init__(self, library: str, product: nn.Cell, target_weight: float, other_weight: float):
        super().__init__(library)
        weights = Tensor(np.array([target_weight, other_weight], np.float32))
        forward = self.kernel("loss_forward", lambda *s: (s[1], s[1], s[1]), lambda *t: (t[0], t[0], t[0]))
        backward = self.kernel("loss_backward", *_like(1))
        self.logits = product
        self.run = _CrossEntropyWithLogSums(forward, backward, weights)

    def construct(self, states: Tensor, table: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        loss, nll, _ = self.run(self.logits(states, table), labels)
        return loss, nll


class _CrossEntropyWithLogSums(nn.Cell):
    """The losses, and the log-sum-exp of each row, which the gradient needs. Only the smoothed loss has a gradient."""

    def __init__(self, forward: ops.Custom, backward: ops.Custom, weights: Tensor):
        super().__init__()
        self.forward, self.backward, self.weights = forward, backward, weights

    def construct(self, logits, labels):
        return self.forward(logits, labels, self.weights)

    def bprop(self, logits, labels, out, dout):
        return self.backward(dout[0], logits, labels, self.weights, out[2]), ops.zeros_like(labels)
