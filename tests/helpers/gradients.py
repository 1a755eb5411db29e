"""Gradients of a cell, for the tests of the operators."""
from mindspore import nn, ops


class WithGradients(nn.Cell):
    """The result of a cell, and the gradients of all its inputs for a given gradient of the result."""

    def __init__(self, cell: nn.Cell):
        super().__init__()
        self.cell = cell
        self.gradient = ops.GradOperation(get_all=True, sens_param=True)

    def construct(self, inputs, output_gradient):
        return self.cell(*inputs), self.gradient(self.cell)(*inputs, output_gradient)
