"""The dense layer all projections are made of."""
from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import initializer

from src.transformer.fast_gradients import AddBias
from src.utils.initializer import uniform_weights


class Dense(nn.Cell):
    """x W^T + b for x [rows, in_features]; W [out_features, in_features] starts uniform by its fans, b zero."""

    def __init__(self, in_features: int, out_features: int, seed: int):
        super().__init__()
        self.weight = Parameter(Tensor(uniform_weights(out_features, in_features, seed)))
        self.bias = Parameter(initializer("zeros", (out_features,)))
        self.product = ops.MatMul(transpose_b=True)
        self.add_bias = AddBias()

    def construct(self, x: Tensor) -> Tensor:
        return self.add_bias(self.product(x, self.weight), self.bias)
