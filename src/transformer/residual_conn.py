"""The residual connection around every sub-layer."""
from mindspore import Tensor, nn

from src.transformer.dense import ProductAndBias
from src.transformer.operators.interface import Operators


class ResidualConn(nn.Cell):
    """x + dropout(output), where `output` is that of a sub-layer.

    The layers are pre-norm, x + dropout(sub_layer(norm(x))) (Wang et al., 2019): the norm is applied to the input of
    the sub-layer only.
    """

    def __init__(self, dropout: float, operators: Operators):
        super().__init__()
        self.add = operators.residual(dropout)

    def construct(self, x: Tensor, output: ProductAndBias, dropout_seed: Tensor) -> Tensor:
        """Add the sub-layer's output, product [rows, hidden_size] + bias [hidden_size], to x [rows, hidden_size].

        `dropout_seed` is [2] int32.
        """
        product, bias = output
        return self.add(x, product, bias, dropout_seed)
