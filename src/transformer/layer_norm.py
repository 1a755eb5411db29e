"""Layer normalization (Ba et al., 2016)."""
from mindspore import Parameter, Tensor, nn
from mindspore.common.initializer import initializer

from src.transformer.fast_gradients import ScaleShift, Standardize


class LayerNorm(nn.Cell):
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta over the rows of x [rows, hidden_size]."""

    def __init__(self, hidden_size: int, epsilon: float = 1e-5):
        super().__init__()
        self.gamma = Parameter(initializer("ones", (hidden_size,)))
        self.beta = Parameter(initializer("zeros", (hidden_size,)))
        self.standardize = Standardize(epsilon)
        self.scale_shift = ScaleShift()

    def construct(self, x: Tensor) -> Tensor:
        standardized, _ = self.standardize(x)
        return self.scale_shift(standardized, self.gamma, self.beta)
