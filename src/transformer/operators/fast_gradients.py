"""Operations with hand-written gradients, and sums over rows or columns as matrix multiplications.

The reduction kernels of MindSpore's CPU back end are slow, and a multiplication by a vector of ones gives the same sum.
benchmarks/kernels.py compares these operations with compositions that leave the gradient to MindSpore. Biases and the
scale of the layer norm have no hand-written gradients: they were no faster in a training step. Devices other than the
CPU have not been measured.
"""
from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype

_fill = ops.FillV2()  # ops.full fails in a hand-written gradient ("The func graph is empty")


def column_sums(x: Tensor) -> Tensor:
    """Return the sum of each column: [rows, columns] -> [columns]."""
    ones = ops.ones((1, x.shape[0]), mstype.float32)
    return ops.reshape(ops.matmul(ones, x), (x.shape[1],))


def row_means(x: Tensor) -> Tensor:
    """Return the mean of each row: [rows, columns] -> [rows, 1]."""
    columns = x.shape[1]
    return ops.matmul(x, _fill((columns, 1), Tensor(1.0 / columns, mstype.float32)))


class Standardize(nn.Cell):
    """y = (x - mean) * r of each row of x [rows, columns], and the factor r = 1 / sqrt(variance + epsilon) [rows, 1].

    With the gradient g of y, dx = r * (g - mean(g) - y * mean(g * y)). The factor must not be differentiated.
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
    """log(sum(exp(x))) of each row of x [rows, columns] -> [rows]; the gradient is softmax(x).

    It is x_0 - log_softmax(x)_0, because MindSpore's LogSoftmax is much faster than its reductions.
    """

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
