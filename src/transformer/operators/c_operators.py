"""The operators as C kernels (src/transformer/kernels), for the CPU."""
import ctypes
from itertools import count

import numpy as np
from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype

from src.transformer.operators.interface import Operators
from src.transformer.operators.mindspore_operators import MindSporeOperators


class COperators(Operators):
    """Operators as C kernels; see Operators for what they compute.

    The forward pass and the backward pass of an operator are one kernel each. Operators with dropout are numbered in
    the order in which they are created: their sites. A dropout mask depends only on the step's seed, the site and the
    element, so the backward pass draws the same mask again, and a run that is repeated or resumed draws the same masks.

    Args:
        kernel_library: path of the compiled kernels; see `build_kernels`.
    """

    def __init__(self, kernel_library: str):
        self.kernel_library = kernel_library
        self._sites = count()

    def matmul(self) -> nn.Cell:
        """See Operators. The cell is MindSpore's where this process has no oneDNN, which the kernel calls."""
        if not self._has_matmul():
            return MindSporeOperators().matmul()
        return _MatMul(self.kernel_library)

    def sum_of_squares(self) -> nn.Cell:
        return _SumOfSquares(self.kernel_library)

    def layer_norm(self, epsilon: float) -> nn.Cell:
        return _LayerNorm(self.kernel_library, epsilon)

    def residual(self, dropout: float) -> nn.Cell:
        return _Residual(self.kernel_library, dropout, next(self._sites))

    def activation(self, name: str, dropout: float) -> nn.Cell:
        """See Operators. There is a kernel for ReLU only; the cells of others are MindSpore's."""
        if name != "relu":
            return MindSporeOperators().activation(name, dropout)
        return _Relu(self.kernel_library, dropout, next(self._sites))

    def attention(self, num_heads: int, dropout: float, causal: bool) -> nn.Cell:
        return _Attention(self.kernel_library, num_heads, dropout, causal, next(self._sites))

    def embedding(self, scale: float, dropout: float) -> nn.Cell:
        return _Embedding(self.kernel_library, scale, dropout, next(self._sites))

    def cross_entropy(self, target_weight: float, other_weight: float) -> nn.Cell:
        """See Operators. As with `matmul`, the cell is MindSpore's where this process has no oneDNN."""
        if not self._has_matmul():
            return MindSporeOperators().cross_entropy(target_weight, other_weight)
        return _CrossEntropy(self.kernel_library, target_weight, other_weight)

    def _has_matmul(self) -> bool:
        return bool(ctypes.CDLL(self.kernel_library).matmul_available())


def _like(*inputs: int):
    """Return functions (shapes, types) for a kernel whose outputs have the shapes and types of these inputs."""
    if len(inputs) == 1:
        return (lambda *shapes: shapes[inputs[0]]), (lambda *types: types[inputs[0]])
    return (lambda *shapes: tuple(shapes[i] for i in inputs)), (lambda *types: tuple(types[i] for i in inputs))


class _KernelCell(nn.Cell):
    """A cell that runs kernels of a library."""

    def __init__(self, library: str):
        super().__init__()
        self._library = library

    def kernel(self, name: str, shapes, types) -> ops.Custom:
        """Return the kernel as an operator.

        Args:
            name: of the C function.
            shapes, types: functions from those of all inputs to those of the output, or to a tuple for several outputs.
        """
        return ops.Custom(f"{self._library}:{name}", shapes, types, "aot")


class DropoutKernelCell(_KernelCell):
    """A cell with dropout of a given probability; `site` is the number of this dropout in the network."""

    def __init__(self, library: str, dropout: float, site: int):
        super().__init__(library)
        self.site = Tensor([site], mstype.int32)
        self.dropout = Tensor([dropout], mstype.float32)
        self.no_dropout = Tensor([0.0], mstype.float32)

    def probability(self) -> Tensor:
        return self.dropout if self.training else self.no_dropout


class _MatMul(_KernelCell):
    def __init__(self, library: str):
        super().__init__(library)
        self.forward = self.kernel("matmul_forward", lambda *s: [s[0][0], s[1][0]], lambda *t: t[0])
        self.backward = self.kernel("matmul_backward", *_like(1, 2))

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.forward(x, weight)

    def bprop(self, x, weight, out, dout):
        return self.backward(dout, x, weight)


class _SumOfSquares(_KernelCell):
    def __init__(self, library: str):
        super().__init__(library)
        self.forward = self.kernel("sum_of_squares", lambda *s: [1], lambda *t: t[0])

    def construct(self, x: Tensor) -> Tensor:
        return self.forward(x)


class _LayerNorm(_KernelCell):
    def __init__(self, library: str, epsilon: float):
        super().__init__(library)
        forward = self.kernel("layer_norm_forward", lambda *s: (s[0], [s[0][0], 2]), lambda *t: (t[0], t[0]))
        backward = self.kernel("layer_norm_backward", lambda *s: (s[0], s[3], s[3]), lambda *t: (t[0], t[0], t[0]))
        self.with_statistics = _LayerNormWithStatistics(forward, backward, Tensor([epsilon], mstype.float32))

    def construct(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        return self.with_statistics(x, gamma, beta)[0]


class _LayerNormWithStatistics(nn.Cell):
    """Returns the statistics of each row as well, which the gradient needs."""

    def __init__(self, forward: ops.Custom, backward: ops.Custom, epsilon: Tensor):
        super().__init__()
        self.forward, self.backward, self.epsilon = forward, backward, epsilon

    def construct(self, x, gamma, beta):
        return self.forward(x, gamma, beta, self.epsilon)

    def bprop(self, x, gamma, beta, out, dout):
        return self.backward(dout[0], x, out[1], gamma)


class _Residual(DropoutKernelCell):
    def __init__(self, library: str, dropout: float, site: int):
        super().__init__(library, dropout, site)
        self.forward = self.kernel("residual_forward", *_like(0))
        self.backward = self.kernel("residual_backward", lambda *s: (s[0], [s[0][1]]), lambda *t: (t[0], t[0]))

    def construct(self, x: Tensor, product: Tensor, bias: Tensor, dropout_seed: Tensor) -> Tensor:
        return self.forward(x, product, bias, dropout_seed, self.site, self.probability())

    def bprop(self, x, product, bias, dropout_seed, out, dout):
        dproduct, dbias = self.backward(dout, dropout_seed, self.site, self.probability())
        return dout, dproduct, dbias, ops.zeros_like(dropout_seed)


class _Relu(DropoutKernelCell):
    def __init__(self, library: str, dropout: float, site: int):
        super().__init__(library, dropout, site)
        self.forward = self.kernel("relu_forward", *_like(0))
        self.backward = self.kernel("relu_backward", lambda *s: (s[0], [s[0][1]]), lambda *t: (t[0], t[0]))

    def construct(self, product: Tensor, bias: Tensor, dropout_seed: Tensor) -> Tensor:
        return self.forward(product, bias, dropout_seed, self.site, self.probability())

    def bprop(self, product, bias, dropout_seed, out, dout):
        dproduct, dbias = self.backward(dout, out, self.probability())
        return dproduct, dbias, ops.zeros_like(dropout_seed)


class _Attention(DropoutKernelCell):
    """The context is 0 where a query has no key to attend to."""

    def __init__(self, library: str, num_heads: int, dropout: float, causal: bool, site: int):
        super().__init__(library, dropout, site)
        options = Tensor([num_heads, causal], mstype.int32)
        forward = self.kernel("attention_forward",
                              lambda *s: (s[0], [s[6][0], num_heads, s[6][1]]), lambda *t: (t[0], t[0]))
        # inputs: dout, queries, keys, values, their biases, ...
        backward = self.kernel("attention_backward", *_like(1, 2, 3, 4, 5, 6))
        self.with_log_sums = _AttentionWithLogSums(forward, backward, options, self.site)

    def construct(self, queries: Tensor, keys: Tensor, values: Tensor, query_bias: Tensor, key_bias: Tensor,
                  value_bias: Tensor, query_segments: Tensor, key_segments: Tensor, dropout_seed: Tensor) -> Tensor:
        return self.with_log_sums(queries, keys, values, query_bias, key_bias, value_bias, query_segments,
                                  key_segments, dropout_seed, self.probability())[0]


class _AttentionWithLogSums(nn.Cell):
    """Returns the log-sum-exp of each query's scores as well, which the gradient needs."""

    def __init__(self, forward: ops.Custom, backward: ops.Custom, options: Tensor, site: Tensor):
        super().__init__()
        self.forward, self.backward, self.options, self.site = forward, backward, options, site

    def construct(self, q, k, v, qb, kb, vb, query_segments, key_segments, dropout_seed, probability):
        return self.forward(q, k, v, qb, kb, vb, query_segments, key_segments, self.options, dropout_seed, self.site,
                            probability)

    def bprop(self, q, k, v, qb, kb, vb, query_segments, key_segments, dropout_seed, probability, out, dout):
        gradients = self.backward(dout[0], q, k, v, qb, kb, vb, query_segments, key_segments, self.options,
                                  dropout_seed, self.site, probability, out[1])
        return (*gradients, ops.zeros_like(query_segments), ops.zeros_like(key_segments),
                ops.zeros_like(dropout_seed), ops.zeros_like(probability))


class _Embedding(DropoutKernelCell):
    def __init__(self, library: str, scale: float, dropout: float, site: int):
        super().__init__(library, dropout, site)
        self.scale = Tensor([scale], mstype.float32)
        self.forward = self.kernel("embedding_forward", lambda *s: [s[1][0], s[0][1]], lambda *t: t[0])
        self.backward = self.kernel("embedding_backward", lambda *s: s[2], lambda *t: t[0])

    def construct(self, table: Tensor, ids: Tensor, positions: Tensor, position_table: Tensor,
                  dropout_seed: Tensor) -> Tensor:
        return self.forward(table, ids, positions, position_table, self.scale, dropout_seed, self.site,
                            self.probability())

    def bprop(self, table, ids, positions, position_table, dropout_seed, out, dout):
        dtable = self.backward(dout, ids, table, self.scale, dropout_seed, self.site, self.probability())
        return (dtable, ops.zeros_like(ids), ops.zeros_like(positions), ops.zeros_like(position_table),
                ops.zeros_like(dropout_seed))


class _CrossEntropy(nn.Cell):
    def __init__(self, library: str, target_weight: float, other_weight: float):
        super().__init__()
        self.with_gradients = _CrossEntropyWithGradients(library, target_weight, other_weight)

    def construct(self, states: Tensor, table: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.with_gradients(states, table, labels)[:3]


class _CrossEntropyWithGradients(_KernelCell):
    """In training, returns the gradients of the sum for states and table as well."""

    def __init__(self, library: str, target_weight: float, other_weight: float):
        super().__init__(library)
        self.weights = Tensor(np.array([target_weight, other_weight], np.float32))
        # inputs: states, table, labels, weights
        self.forward = self.kernel("cross_entropy_forward", lambda *s: ([1], s[2], s[2]), lambda *t: (t[0],) * 3)
        self.gradients = self.kernel("cross_entropy_gradients", lambda *s: ([1], s[2], s[2], s[0], s[1]),
                                     lambda *t: (t[0],) * 5)
        self.backward = self.kernel("cross_entropy_backward", *_like(1, 2))

    def construct(self, states, table, labels):
        if self.training:
            return self.gradients(states, table, labels, self.weights)
        return self.forward(states, table, labels, self.weights)

    def bprop(self, states, table, labels, out, dout):
        results = out if self.training else self.gradients(states, table, labels, self.weights)
        dstates, dtable = self.backward(dout[0], results[3], results[4])
        return dstates, dtable, ops.zeros_like(labels)
