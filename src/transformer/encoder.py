"""The Transformer encoder."""
from mindspore import Tensor, nn

from config.config import ModelConfig
from src.transformer.feed_forward_network import FeedForwardNetwork
from src.transformer.layer_norm import LayerNorm
from src.transformer.operators.interface import Operators
from src.transformer.residual_conn import ResidualConn
from src.transformer.self_attention import SelfAttention


class EncoderLayer(nn.Cell):
    """Self-attention, then the feed-forward network, each with a pre-norm and a residual connection."""

    def __init__(self, model: ModelConfig, operators: Operators, init_seed: int):
        super().__init__()
        hidden, dropout = model.hidden_size, model.hidden_dropout_prob
        self.self_attention_norm = LayerNorm(hidden, operators)
        self.self_attention_residual = ResidualConn(dropout, operators)
        self.self_attention = SelfAttention(model, operators, False, init_seed)
        self.feed_forward_norm = LayerNorm(hidden, operators)
        self.feed_forward_residual = ResidualConn(dropout, operators)
        self.feed_forward = FeedForwardNetwork(model, operators, init_seed + 10)

    def construct(self, x: Tensor, segments: Tensor, key_segments: Tensor, dropout_seed: Tensor) -> Tensor:
        """See Encoder.construct."""
        output = self.self_attention(self.self_attention_norm(x), segments, key_segments, dropout_seed)
        x = self.self_attention_residual(x, output, dropout_seed)
        output = self.feed_forward(self.feed_forward_norm(x), dropout_seed)
        return self.feed_forward_residual(x, output, dropout_seed)


class Encoder(nn.Cell):
    """The encoder layers and the final layer norm."""

    def __init__(self, model: ModelConfig, operators: Operators, init_seed: int):
        super().__init__()
        self.layers = nn.CellList([EncoderLayer(model, operators, init_seed + 100 * i)
                                   for i in range(model.num_hidden_layers)])
        self.norm = LayerNorm(model.hidden_size, operators)

    def construct(self, x: Tensor, segments: Tensor, key_segments: Tensor, dropout_seed: Tensor) -> Tensor:
        """Encode embedded sentences: x [batch * source_len, hidden_size] -> the same shape.

        Args:
            segments: [batch, source_len] int32; see Transformer.construct.
            key_segments: the same, negative where masked; see `mask_segments`.
            dropout_seed: [2] int32.
        """
        for layer in self.layers:
            x = layer(x, segments, key_segments, dropout_seed)
        return self.norm(x)
