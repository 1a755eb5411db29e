"""Layer normalization (Ba et al., 2016)."""
from mindspore import Parameter, Tensor, nn
from mindspore.common.initializer import initializer

from src.transformer.operators.interface import Operators

EPSILON = 1e-5
"""What is added to the variance in all layer norms of the network."""


class LayerNorm(nn.Cell):
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, with mean and variance of each row of x."""

    def __init__(self, hidden_size: int, operators: Operators, epsilon: float = EPSILON):
        super().__init__()
        self.gamma = Parameter(initializer("ones", (hidden_size,)))
        self.beta = Parameter(initializer("zeros", (hidden_size,)))
        self.epsilon = epsilon
        self.normalize = operators.layer_norm(epsilon)

    def construct(self, x: Tensor) -> Tensor:
        """x [rows, hidden_size] -> the same shape."""
        return self.normalize(x, self.gamma, self.beta)
