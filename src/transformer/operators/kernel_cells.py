"""Cells that run C kernels (src/transformer/kernels) as custom operators of MindSpore."""
from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype


def like(*inputs: int):
    """Return functions (shapes, types) for a kernel whose outputs have the shapes and types of these inputs."""
    if len(inputs) == 1:
        return (lambda *shapes: shapes[inputs[0]]), (lambda *types: types[inputs[0]])
    return (lambda *shapes: tuple(shapes[i] for i in inputs)), (lambda *types: tuple(types[i] for i in inputs))


class KernelCell(nn.Cell):
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


class DropoutKernelCell(KernelCell):
    """A cell with dropout of a given probability; `site` is the number of this dropout in the network."""

    def __init__(self, library: str, dropout: float, site: int):
        super().__init__(library)
        self.site = Tensor([site], mstype.int32)
        self.dropout = Tensor([dropout], mstype.float32)
        self.no_dropout = Tensor([0.0], mstype.float32)

    def probability(self) -> Tensor:
        return self.dropout if self.training else self.no_dropout
