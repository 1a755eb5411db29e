"""The frame around every sub-layer: norm before it, dropout and the residual sum after it."""
from mindspore import Tensor, nn

from src.transformer.layer_norm import LayerNorm
from src.transformer.operators.interface import Operators


class ResidualConn(nn.Cell):
    """Pre-norm residual connection: x + dropout(sublayer(norm(x))) (Wang et al., 2019).

    `construct` is the norm, `join` the sum; the sub-layer stands between the two in the layer that uses it. It ends in
    a matrix product, the bias of which `join` adds.
    """

    def __init__(self, hidden_size: int, dropout: float, operators: Operators):
        super().__init__()
        self.norm = LayerNorm(hidden_size, operators)
        self.residual = operators.residual(dropout)

    def construct(self, x: Tensor) -> Tensor:
        return self.norm(x)

    def join(self, x: Tensor, product: Tensor, bias: Tensor, seed: Tensor) -> Tensor:
        """x + dropout(product + bias); `seed` [2] int32 is that of the step's dropout."""
        return self.residual(x, product, bias, seed)
