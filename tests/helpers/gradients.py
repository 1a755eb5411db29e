"""What the tests of the operators share: a cell's gradients."""
from mindspore import nn, ops


class WithGradients(nn.Cell):
    """Result, and gradients of all inputs for a given gradient of the result."""

    def __init__(self, cell: nn.Cell):
        super().__init__()
        self.cell = cell
        self.gradient = ops.GradOperation(get_all=True, sens_param=True)

    def construct(self, inputs, slopes):
        return self.cell(*inputs), self.gradient(self.cell)(*inputs, slopes)
