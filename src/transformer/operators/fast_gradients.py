"""Operations with hand-written gradients whose sums over rows or columns are matrix products.

The reduction kernels of MindSpore's CPU back end are slow; a product with a vector of ones gives the same sum.
benchmarks/kernels.py compares the forms, its README says what came out. Other devices have not been measured.
"""
from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype


def column_sums(x: Tensor) -> Tensor:
    """[rows, columns] -> [columns]."""
    ones = ops.ones((1, x.shape[0]), mstype.float32)
    return ops.reshape(ops.matmul(ones, x), (x.shape[1],))


def row_means(x: Tensor) -> Tensor:
    """[rows, columns] -> [rows, 1]."""
    columns = x.shape[1]
    return ops.matmul(x, ops.fill(mstype.float32, (columns, 1), 1.0 / columns))


class AddBias(nn.Cell):
    """x + bias for x [rows, columns] and bias [columns]."""

    def construct(self, x: Tensor, bias: Tensor) -> Tensor:
        return x + bias

    def bprop(self, x, bias, out, dout):
        return dout, column_sums(dout)


class ScaleShift(nn.Cell):
    """x * scale + shift for x [rows, columns], scale and shift [columns]."""

    def construct(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        return x * scale + shift

    def bprop(self, x, scale, shift, out, dout):
        return dout * scale, column_sums(dout * x), column_sums(dout)


class Standardize(nn.Cell):
    """(x - mean) / sqrt(variance + epsilon) over the rows of x [rows, columns], and the factor 1 / sqrt(...) [rows, 1].

    With y the result, r the factor and g the gradient of y: dx = r (g - mean(g) - y mean(g y)).
    """

    def __init__(self, epsilon: float):
        super().__init__()
        self.epsilon = epsilon

    def construct(self, x: Tensor) -> tuple[Tensor, Tensor]:
        centred = x - row_means(x)
        factor = ops.rsqrt(row_means(centred * centred) + self.epsilon)
        return centred * factor, factor

    def bprop(self, x, out, dout):
        y, factor = out
        gradient = dout[0]
        return ((gradient - row_means(gradient) - y * row_means(gradient * y)) * factor,)


class LogSumExp(nn.Cell):
    """log(sum(exp(x))) over the rows of x [rows, columns] -> [rows]; its gradient is softmax(x)."""

    def __init__(self):
        super().__init__()
        self.log_softmax = ops.LogSoftmax()
        self.softmax = ops.Softmax()
        self.first = ops.Slice()

    def construct(self, x: Tensor) -> Tensor:
        rows = x.shape[0]
        first = self.first(x, (0, 0), (rows, 1)) - self.first(self.log_softmax(x), (0, 0), (rows, 1))
        return ops.reshape(first, (rows,))

    def bprop(self, x, out, dout):
        return (self.softmax(x) * ops.reshape(dout, (-1, 1)),)
