"""The Transformer encoder."""
from mindspore import Tensor, nn

from config.config import ModelConfig
from src.transformer.feed_forward_network import FeedForwardNetwork
from src.transformer.layer_norm import LayerNorm
from src.transformer.residual_conn import ResidualConn
from src.transformer.self_attention import SelfAttention


class EncoderLayer(nn.Cell):
    """Self-attention, then the feed-forward network."""

    def __init__(self, model: ModelConfig, seed: int):
        super().__init__()
        hidden, dropout = model.hidden_size, model.hidden_dropout_prob
        self.attention_frame = ResidualConn(hidden, dropout)
        self.attention = SelfAttention(hidden, model.num_attention_heads, model.attention_dropout_prob, seed)
        self.feed_forward_frame = ResidualConn(hidden, dropout)
        self.feed_forward = FeedForwardNetwork(hidden, model.intermediate_size, model.hidden_act, dropout, seed + 10)

    def construct(self, x: Tensor, bias: Tensor) -> Tensor:
        x = self.attention_frame.join(x, self.attention(self.attention_frame(x), bias))
        return self.feed_forward_frame.join(x, self.feed_forward(self.feed_forward_frame(x)))


class Encoder(nn.Cell):
    """All encoder layers and the final norm."""

    def __init__(self, model: ModelConfig, seed: int):
        super().__init__()
        self.layers = nn.CellList([EncoderLayer(model, seed + 100 * i) for i in range(model.num_hidden_layers)])
        self.norm = LayerNorm(model.hidden_size)

    def construct(self, x: Tensor, bias: Tensor) -> Tensor:
        """x [batch * source_len, hidden_size], bias [batch, 1, 1, source_len] -> the shape of x."""
        for layer in self.layers:
            x = layer(x, bias)
        return self.norm(x)
