"""The Transformer encoder."""
from mindspore import Tensor, nn

from config.config import ModelConfig
from src.transformer.feed_forward_network import FeedForwardNetwork
from src.transformer.layer_norm import LayerNorm
from src.transformer.operators.interface import Operators
from src.transformer.residual_conn import ResidualConn
from src.transformer.self_attention import SelfAttention


class EncoderLayer(nn.Cell):
    """Self-attention, then the feed-forward network."""

    def __init__(self, model: ModelConfig, operators: Operators, seed: int):
        super().__init__()
        hidden, dropout = model.hidden_size, model.hidden_dropout_prob
        self.attention_frame = ResidualConn(hidden, dropout, operators)
        self.attention = SelfAttention(model, operators, False, seed)
        self.feed_forward_frame = ResidualConn(hidden, dropout, operators)
        self.feed_forward = FeedForwardNetwork(model, operators, seed + 10)

    def construct(self, x: Tensor, segments: Tensor, visible_segments: Tensor, seed: Tensor) -> Tensor:
        branch = self.attention(self.attention_frame(x), segments, visible_segments, seed)
        x = self.attention_frame.join(x, branch, self.attention.output.bias, seed)
        branch = self.feed_forward(self.feed_forward_frame(x), seed)
        return self.feed_forward_frame.join(x, branch, self.feed_forward.contract.bias, seed)


class Encoder(nn.Cell):
    """All encoder layers and the final norm."""

    def __init__(self, model: ModelConfig, operators: Operators, seed: int):
        super().__init__()
        self.layers = nn.CellList([EncoderLayer(model, operators, seed + 100 * i)
                                   for i in range(model.num_hidden_layers)])
        self.norm = LayerNorm(model.hidden_size, operators)

    def construct(self, x: Tensor, segments: Tensor, visible_segments: Tensor, seed: Tensor) -> Tensor:
        """x [batch * source_len, hidden_size], segments [batch, source_len] -> the shape of x."""
        for layer in self.layers:
            x = layer(x, segments, visible_segments, seed)
        return self.norm(x)
