"""The dense layer that all projections are made of."""
from mindspore import Parameter, Tensor, nn
from mindspore.common.initializer import initializer

from src.transformer.operators.interface import Operators
from src.utils.initializer import uniform_weights

# The output of a dense layer in two parts, product [rows, out_features] and bias [out_features]: the output is their
# sum. Sub-layers return this, and the residual connection adds both in one pass over memory. It is a plain tuple
# because MindSpore 2.10 computes gradients of 0, without an error, for whatever passes through a NamedTuple.
ProductAndBias = tuple[Tensor, Tensor]


class Dense(nn.Cell):
    """The dense layer x W^T + b, with weight W [out_features, in_features] and bias b [out_features].

    W is initialized uniformly (see `uniform_weights`), b with 0.
    """

    def __init__(self, in_features: int, out_features: int, operators: Operators, init_seed: int):
        super().__init__()
        self.weight = Parameter(Tensor(uniform_weights(out_features, in_features, init_seed)))
        self.bias = Parameter(initializer("zeros", (out_features,)))
        self.matmul = operators.matmul()

    def construct(self, x: Tensor) -> Tensor:
        """x [rows, in_features] -> x W^T + b [rows, out_features]."""
        return self.product(x) + self.bias

    def product(self, x: Tensor) -> Tensor:
        """x [rows, in_features] -> x W^T [rows, out_features], without the bias."""
        return self.matmul(x, self.weight)

    def product_and_bias(self, x: Tensor) -> ProductAndBias:
        """x [rows, in_features] -> x W^T [rows, out_features] and b [out_features], which are still to be added."""
        return self.matmul(x, self.weight), self.bias
