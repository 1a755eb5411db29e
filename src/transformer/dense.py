"""The dense layer all projections are made of."""
from mindspore import Parameter, Tensor, nn
from mindspore.common.initializer import initializer

from src.transformer.operators.interface import Operators
from src.utils.initializer import uniform_weights


class Dense(nn.Cell):
    """x W^T + b for x [rows, in_features]; W [out_features, in_features] starts uniform by its fans, b zero.

    `product` leaves the bias to the operator that takes the product up, which adds it in the same pass over memory.
    """

    def __init__(self, in_features: int, out_features: int, operators: Operators, seed: int):
        super().__init__()
        self.weight = Parameter(Tensor(uniform_weights(out_features, in_features, seed)))
        self.bias = Parameter(initializer("zeros", (out_features,)))
        self.multiply = operators.matmul()

    def product(self, x: Tensor) -> Tensor:
        """x W^T."""
        return self.multiply(x, self.weight)

    def construct(self, x: Tensor) -> Tensor:
        return self.multiply(x, self.weight) + self.bias
