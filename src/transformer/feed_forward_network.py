"""The position-wise feed-forward network."""
from mindspore import Tensor, nn, ops

from src.transformer.dense import Dense


class FeedForwardNetwork(nn.Cell):
    """Two dense layers with a non-linearity and dropout between them (Vaswani et al., 2017, 3.3)."""

    def __init__(self, hidden_size: int, intermediate_size: int, activation: str, dropout: float, seed: int):
        super().__init__()
        self.expand = Dense(hidden_size, intermediate_size, seed)
        self.contract = Dense(intermediate_size, hidden_size, seed + 1)
        self.activation = {"relu": ops.relu, "gelu": ops.gelu}[activation]
        self.dropout = nn.Dropout(p=dropout)

    def construct(self, x: Tensor) -> Tensor:
        """[rows, hidden_size] -> the same shape."""
        return self.contract(self.dropout(self.activation(self.expand(x))))
