"""The operators as C kernels (src/transformer/kernels), for the CPU."""
import ctypes
from itertools import count

from mindspore import ParameterTuple, Tensor, nn, ops
from mindspore import dtype as mstype

from src.transformer.operators.c_attention import (
    Attention,
    AttentionKernels,
    RoundedCrossAttention,
    RoundedSelfAttention,
)
from src.transformer.operators.c_cross_entropy import CrossEntropy
from src.transformer.operators.c_products import MatMul, ProductKernels, RoundedMatMul
from src.transformer.operators.c_update import Adam, SumOfSquares
from src.transformer.operators.interface import Operators
from src.transformer.operators.kernel_cells import DropoutKernelCell, KernelCell, like
from src.transformer.operators.mindspore_operators import (
    ComposedCrossAttention,
    ComposedSelfAttention,
    MindSporeOperators,
)


class COperators(Operators):
    """Operators as C kernels; see Operators for what they compute.

    The forward pass and the backward pass of an operator are one kernel each. Operators with dropout are numbered in
    the order in which they are created: their sites. A dropout mask depends only on the step's seed, the site and the
    element, so the backward pass draws the same mask again, and a run that is repeated or resumed draws the same masks.

    With the compute type bfloat16, each number that a matrix product reads is rounded to bfloat16 where it is computed
    and nowhere else: results that only products read (norms, activations, contexts) and the gradients of products are
    bfloat16 tensors. Everything else is float32.

    Args:
        kernel_library: path of the compiled kernels; see `build_kernels`.
        compute_type: of the inputs of matrix products, float32 or bfloat16.
    """

    def __init__(self, kernel_library: str, compute_type: str = "float32"):
        self.kernel_library, self.compute_type = kernel_library, compute_type
        self._type = getattr(mstype, compute_type)
        self._sites = count()

    def matmul(self) -> nn.Cell:
        """See Operators. The cell is MindSpore's where this process has no oneDNN, which the kernel calls."""
        if self._type == mstype.bfloat16:
            return RoundedMatMul(ProductKernels(self.kernel_library))
        if not self._has_matmul():
            return MindSporeOperators().matmul()
        return MatMul(self.kernel_library)

    def sum_of_squares(self) -> nn.Cell:
        return SumOfSquares(self.kernel_library)

    def adam(self, weights: ParameterTuple, means: ParameterTuple, variances: ParameterTuple,
             constants: tuple[float, float, float]) -> nn.Cell:
        return Adam(self.kernel_library, weights, means, variances, constants)

    def layer_norm(self, epsilon: float) -> nn.Cell:
        return _LayerNorm(self.kernel_library, epsilon, self._type)

    def residual(self, dropout: float) -> nn.Cell:
        return _Residual(self.kernel_library, dropout, next(self._sites), self._type)

    def activation(self, name: str, dropout: float) -> nn.Cell:
        """See Operators. There is a kernel for ReLU only; the cells of others are MindSpore's."""
        if name != "relu":
            return MindSporeOperators().activation(name, dropout)
        return _Relu(self.kernel_library, dropout, next(self._sites), self._type)

    def attention(self, num_heads: int, dropout: float, causal: bool) -> nn.Cell:
        return Attention(self._attention_kernels(num_heads, dropout, causal))

    def self_attention(self, num_heads: int, dropout: float, causal: bool) -> nn.Cell:
        if self._type == mstype.bfloat16:
            return RoundedSelfAttention(self._attention_kernels(num_heads, dropout, causal),
                                        ProductKernels(self.kernel_library))
        return ComposedSelfAttention(self.matmul(), self.attention(num_heads, dropout, causal))

    def cross_attention(self, num_heads: int, dropout: float, causal: bool) -> nn.Cell:
        if self._type == mstype.bfloat16:
            return RoundedCrossAttention(self._attention_kernels(num_heads, dropout, causal),
                                         ProductKernels(self.kernel_library))
        return ComposedCrossAttention(self.matmul(), self.attention(num_heads, dropout, causal))

    def embedding(self, scale: float, dropout: float) -> nn.Cell:
        return _Embedding(self.kernel_library, scale, dropout, next(self._sites))

    def cross_entropy(self, target_weight: float, other_weight: float) -> nn.Cell:
        """See Operators. As with `matmul`, the cell is MindSpore's where this process has no oneDNN."""
        if not self._has_matmul():
            return MindSporeOperators().cross_entropy(target_weight, other_weight)
        return CrossEntropy(self.kernel_library, target_weight, other_weight, self._type)

    def _has_matmul(self) -> bool:
        return bool(ctypes.CDLL(self.kernel_library).matmul_available())

    def _attention_kernels(self, num_heads: int, dropout: float, causal: bool) -> AttentionKernels:
        return AttentionKernels(self.kernel_library, num_heads, dropout, causal, next(self._sites), self._type)


class _LayerNorm(KernelCell):
    def __init__(self, library: str, epsilon: float, result: mstype.Type):
        super().__init__(library)
        forward = self.kernel("layer_norm_forward", lambda *s: (s[0], [s[0][0], 2]), lambda *t: (result, t[0]))
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
    def __init__(self, library: str, dropout: float, site: int, gradient: mstype.Type):
        super().__init__(library, dropout, site)
        self.forward = self.kernel("residual_forward", *like(0))
        self.backward = self.kernel("residual_backward", lambda *s: (s[0], [s[0][1]]), lambda *t: (gradient, t[0]))

    def construct(self, x: Tensor, product: Tensor, bias: Tensor, dropout_seed: Tensor) -> Tensor:
        return self.forward(x, product, bias, dropout_seed, self.site, self.probability())

    def bprop(self, x, product, bias, dropout_seed, out, dout):
        dproduct, dbias = self.backward(dout, dropout_seed, self.site, self.probability())
        return dout, dproduct, dbias, ops.zeros_like(dropout_seed)


class _Relu(DropoutKernelCell):
    def __init__(self, library: str, dropout: float, site: int, result: mstype.Type):
        super().__init__(library, dropout, site)
        self.forward = self.kernel("relu_forward", lambda *s: s[0], lambda *t: result)
        self.backward = self.kernel("relu_backward", lambda *s: (s[0], [s[0][1]]), lambda *t: (result, t[0]))

    def construct(self, product: Tensor, bias: Tensor, dropout_seed: Tensor) -> Tensor:
        return self.forward(product, bias, dropout_seed, self.site, self.probability())

    def bprop(self, product, bias, dropout_seed, out, dout):
        dproduct, dbias = self.backward(dout, out, self.probability())
        return dproduct, dbias, ops.zeros_like(dropout_seed)


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
