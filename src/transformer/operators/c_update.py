"""The norm of all gradients and the update of all weights, each as one C kernel.

One kernel for each weight would take longer to compile and to start than to compute in a small network.
"""
from mindspore import ParameterTuple, Tensor
from mindspore import dtype as mstype

from src.transformer.operators.kernel_cells import KernelCell


class SumOfSquares(KernelCell):
    """See Operators.sum_of_squares."""

    def __init__(self, library: str):
        super().__init__(library)
        self.forward = self.kernel("sum_of_squares", lambda *s: [1], lambda *t: t[0])

    def construct(self, *tensors: Tensor) -> Tensor:
        return self.forward(*tensors)


class Adam(KernelCell):
    """See Operators.adam. The kernel writes to its inputs: MindSpore must compute nothing else from them in a graph."""

    def __init__(self, library: str, weights: ParameterTuple, means: ParameterTuple, variances: ParameterTuple,
                 constants: tuple[float, float, float]):
        super().__init__(library)
        self.weights, self.means, self.variances = weights, means, variances
        self.constants = Tensor(constants, mstype.float32)
        self.update = self.kernel("adam", lambda *s: [1], lambda *t: t[0])

    def construct(self, gradients: tuple[Tensor, ...], beta1_power: Tensor, beta2_power: Tensor, rate: Tensor,
                  factor: Tensor) -> Tensor:
        return self.update(*self.weights, *self.means, *self.variances, *gradients, self.constants, beta1_power,
                           beta2_power, rate, factor)
