"""The position-wise feed-forward network."""
from mindspore import Tensor, nn

from config.config import ModelConfig
from src.transformer.dense import Dense, ProductAndBias
from src.transformer.operators.interface import Operators


class FeedForwardNetwork(nn.Cell):
    """fc2(dropout(activation(fc1(x)))), with two dense layers (Vaswani et al., 2017, 3.3)."""

    def __init__(self, model: ModelConfig, operators: Operators, init_seed: int):
        super().__init__()
        self.fc1 = Dense(model.hidden_size, model.intermediate_size, operators, init_seed)
        self.fc2 = Dense(model.intermediate_size, model.hidden_size, operators, init_seed + 1)
        self.activation = operators.activation(model.hidden_act, model.hidden_dropout_prob)

    def construct(self, x: Tensor, dropout_seed: Tensor) -> ProductAndBias:
        """x [rows, hidden_size] -> product [rows, hidden_size] and bias [hidden_size] of fc2, still to be added."""
        return self.fc2.product_and_bias(self.activation(self.fc1.product(x), self.fc1.bias, dropout_seed))
