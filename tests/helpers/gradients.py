"""Gradients of a cell, for the tests of the operators."""
from mindspore import dtype as mstype
from mindspore import nn, ops


class WithGradients(nn.Cell):
    """The result of a cell, and the gradients of all its inputs for a given gradient of the result."""

    def __init__(self, cell: nn.Cell):
        super().__init__()
        self.cell = cell
        self.gradient = ops.GradOperation(get_all=True, sens_param=True)

    def construct(self, inputs, output_gradient):
        return self.cell(*inputs), self.gradient(self.cell)(*inputs, output_gradient)


class Widened(nn.Cell):
    """The result of a cell as float32, whatever its type; the gradient reaches the cell as float32.

    So do the gradients of bfloat16 results in the network: they come from products, whose sums are float32.
    """

    def __init__(self, cell: nn.Cell):
        super().__init__()
        self.cell = cell
        self.widen = _Widen()

    def construct(self, *inputs):
        return self.widen(self.cell(*inputs))


class _Widen(nn.Cell):
    def construct(self, x):
        return ops.cast(x, mstype.float32)

    def bprop(self, x, out, dout):
        return (dout,)
