"""The position-wise feed-forward network."""
from mindspore import Tensor, nn

from config.config import ModelConfig
from src.transformer.dense import Dense
from src.transformer.operators.interface import Operators


class FeedForwardNetwork(nn.Cell):
    """Two dense layers with a non-linearity and dropout between them (Vaswani et al., 2017, 3.3).

    The bias of the second is left to the residual connection.
    """

    def __init__(self, model: ModelConfig, operators: Operators, seed: int):
        super().__init__()
        self.expand = Dense(model.hidden_size, model.intermediate_size, operators, seed)
        self.contract = Dense(model.intermediate_size, model.hidden_size, operators, seed + 1)
        self.activation = operators.activation(model.hidden_act, model.hidden_dropout_prob)

    def construct(self, x: Tensor, seed: Tensor) -> Tensor:
        """[rows, hidden_size] -> the same shape."""
        return self.contract.product(self.activation(self.expand.product(x), self.expand.bias, seed))
