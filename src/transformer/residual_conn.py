"""The frame around every sub-layer: norm before it, dropout and the residual sum after it."""
from mindspore import Tensor, nn

from src.transformer.layer_norm import LayerNorm


class ResidualConn(nn.Cell):
    """Pre-norm residual connection: x + dropout(sublayer(norm(x))) (Wang et al., 2019).

    `construct` is the norm, `join` the sum; the sub-layer stands between the two in the layer that uses it.
    """

    def __init__(self, hidden_size: int, dropout: float):
        super().__init__()
        self.norm = LayerNorm(hidden_size)
        self.dropout = nn.Dropout(p=dropout)

    def construct(self, x: Tensor) -> Tensor:
        return self.norm(x)

    def join(self, x: Tensor, branch: Tensor) -> Tensor:
        return x + self.dropout(branch)
