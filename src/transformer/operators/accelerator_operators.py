"""The operators composed for accelerators: few and large kernels, and activations in the compute type.

The forms of mindspore_operators.py were chosen by measurements on the CPU, where an operation costs what it reads and
writes. On a GPU or Ascend each operation is also a launch, so these forms have fewer of them: the device's own layer
norm, one product for queries, keys and values, and no cast before and after each product. tests/devices counts them.
"""
from mindspore import ParameterTuple, Tensor, nn, ops
from mindspore import dtype as mstype

from src.transformer.operators.accelerator_attention import (
    ComposedAttention,
    CrossAttention,
    FlashAttention,
    SelfAttention,
)
from src.transformer.operators.mindspore_operators import MindSporeOperators


class AcceleratorOperators(MindSporeOperators):
    """Operators for GPU and Ascend; see Operators for what they compute.

    Norms and activations, and thus the inputs of products, have the compute type, and products keep it. What is added
    up over layers (the residual stream), softmax, loss and gradients of weights are float32. `flash_attention` chooses
    FlashAttention, which only Ascend has, and which needs a compute type of two bytes.
    """

    def __init__(self, compute_type: str = "float32", flash_attention: bool = False):
        super().__init__(compute_type)
        self._flash_attention = flash_attention

    def matmul(self) -> nn.Cell:
        return _MatMul(self._compute_type)

    def sum_of_squares(self) -> nn.Cell:
        return _SumOfSquares()

    def adam(self, weights: ParameterTuple, means: ParameterTuple, variances: ParameterTuple,
             constants: tuple[float, float, float]) -> nn.Cell:
        return _Adam(weights, means, variances, constants)

    def layer_norm(self, epsilon: float) -> nn.Cell:
        return _LayerNorm(epsilon, self._compute_type)

    def residual(self, dropout: float) -> nn.Cell:
        return _Residual(dropout)

    def activation(self, name: str, dropout: float) -> nn.Cell:
        return _Activation(name, dropout, self._compute_type)

    def self_attention(self, num_heads: int, dropout: float, causal: bool) -> nn.Cell:
        return SelfAttention(self._core(num_heads, dropout, causal))

    def cross_attention(self, num_heads: int, dropout: float, causal: bool) -> nn.Cell:
        return CrossAttention(self._core(num_heads, dropout, causal))

    def _core(self, num_heads: int, dropout: float, causal: bool) -> ComposedAttention | FlashAttention:
        form = FlashAttention if self._flash_attention else ComposedAttention
        return form(num_heads, dropout, causal, self._compute_type)

    def cross_entropy(self, target_weight: float, other_weight: float) -> nn.Cell:
        return _CrossEntropy(target_weight, other_weight, self._compute_type)


class _MatMul(nn.Cell):
    def __init__(self, compute_type: mstype.Type):
        super().__init__()
        self.compute_type = compute_type
        self.matmul = ops.MatMul(transpose_b=True)

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.matmul(x.astype(self.compute_type), weight.astype(self.compute_type))


class _SumOfSquares(nn.Cell):
    def construct(self, *tensors: Tensor) -> Tensor:
        total = ops.sum(ops.square(tensors[0]))
        for x in tensors[1:]:
            total = ops.add(total, ops.sum(ops.square(x)))
        return ops.reshape(total, (1,))


class _Adam(nn.Cell):
    """See Operators.adam; the factor may be None for 1, and the gradients may be flat."""

    def __init__(self, weights: ParameterTuple, means: ParameterTuple, variances: ParameterTuple,
                 constants: tuple[float, float, float]):
        super().__init__(auto_prefix=False)
        self.weights, self.means, self.variances, self.constants = weights, means, variances, constants
        self.shapes = tuple([weight.shape for weight in weights])
        self.adam = ops.Adam()

    def construct(self, gradients: tuple[Tensor, ...], beta1_power: Tensor, beta2_power: Tensor, rate: Tensor,
                  factor: Tensor | None) -> Tensor:
        beta1, beta2, epsilon = self.constants
        for i in range(len(self.weights)):
            gradient = ops.reshape(gradients[i], self.shapes[i])
            if factor is not None:
                gradient = ops.mul(gradient, factor)
            self.adam(self.weights[i], self.means[i], self.variances[i], beta1_power, beta2_power, rate, beta1, beta2,
                      epsilon, gradient)
        return rate


class _LayerNorm(nn.Cell):
    def __init__(self, epsilon: float, compute_type: mstype.Type):
        super().__init__()
        self.compute_type = compute_type
        self.layer_norm = ops.LayerNorm(begin_norm_axis=1, begin_params_axis=1, epsilon=epsilon)

    def construct(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        normalized, _, _ = self.layer_norm(x, gamma, beta)
        return normalized.astype(self.compute_type)


class _Residual(nn.Cell):
    def __init__(self, dropout: float):
        super().__init__()
        self.dropout = nn.Dropout(p=dropout)

    def construct(self, x: Tensor, product: Tensor, bias: Tensor, dropout_seed: Tensor) -> Tensor:
        return x + self.dropout(product.astype(mstype.float32) + bias)


class _Activation(nn.Cell):
    def __init__(self, name: str, dropout: float, compute_type: mstype.Type):
        super().__init__()
        self.compute_type = compute_type
        self.activation = {"relu": ops.relu, "gelu": ops.gelu}[name]
        self.dropout = nn.Dropout(p=dropout)

    def construct(self, product: Tensor, bias: Tensor, dropout_seed: Tensor) -> Tensor:
        return self.dropout(self.activation(product + bias.astype(self.compute_type)))


class _LogSumExp(nn.Cell):
    """log(sum(exp(x))) of each row of x [rows, columns] in float32 -> [rows]; the gradient is softmax(x).

    Only x is kept for the backward pass, in its own type.
    """

    def __init__(self):
        super().__init__()
        self.log_softmax, self.softmax, self.slice = ops.LogSoftmax(), ops.Softmax(), ops.Slice()

    def construct(self, x: Tensor) -> Tensor:
        wide, first = x.astype(mstype.float32), (x.shape[0], 1)
        difference = self.slice(wide, (0, 0), first) - self.slice(self.log_softmax(wide), (0, 0), first)
        return ops.reshape(difference, (-1,))

    def bprop(self, x, out, dout):
        return ((self.softmax(x.astype(mstype.float32)) * ops.reshape(dout, (-1, 1))).astype(x.dtype),)


class _CrossEntropy(nn.Cell):
    """As the CPU's form, with sums by reductions."""

    def __init__(self, target_weight: float, other_weight: float, compute_type: mstype.Type):
        super().__init__()
        self.target_weight, self.other_weight = target_weight, other_weight
        self.log_sum_exp = _LogSumExp()
        self.matmul = _MatMul(compute_type)

    def construct(self, states: Tensor, table: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        present = (labels != 0).astype(mstype.float32)
        wide = states.astype(mstype.float32)
        target = ops.sum(wide * ops.gather(table, labels, 0), -1)
        log_sum = self.log_sum_exp(self.matmul(states, table))
        loss = log_sum - self.target_weight * target
        if self.other_weight != 0.0:
            loss = loss - self.other_weight * ops.sum(wide * ops.sum(table, 0), -1)
        loss = loss * present
        return ops.reshape(ops.sum(loss), (1,)), loss, (log_sum - target) * present
