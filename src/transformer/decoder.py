"""The Transformer decoder: a whole target at once, or one cached step."""
from mindspore import Tensor, nn

from config.config import ModelConfig
from src.transformer.feed_forward_network import FeedForwardNetwork
from src.transformer.layer_norm import LayerNorm
from src.transformer.multi_head_attention import MultiHeadAttention
from src.transformer.residual_conn import ResidualConn
from src.transformer.self_attention import SelfAttention


class DecoderLayer(nn.Cell):
    """Causal self-attention, attention to the encoder, then the feed-forward network."""

    def __init__(self, model: ModelConfig, seed: int):
        super().__init__()
        hidden, dropout = model.hidden_size, model.hidden_dropout_prob
        heads, attention_dropout = model.num_attention_heads, model.attention_dropout_prob
        self.attention_frame = ResidualConn(hidden, dropout)
        self.attention = SelfAttention(hidden, heads, attention_dropout, seed)
        self.cross_attention_frame = ResidualConn(hidden, dropout)
        self.cross_attention = MultiHeadAttention(hidden, heads, attention_dropout, seed + 10)
        self.feed_forward_frame = ResidualConn(hidden, dropout)
        self.feed_forward = FeedForwardNetwork(hidden, model.intermediate_size, model.hidden_act, dropout, seed + 20)

    def construct(self, x: Tensor, causal_bias: Tensor, memory: Tensor, memory_bias: Tensor) -> Tensor:
        x = self.attention_frame.join(x, self.attention(self.attention_frame(x), causal_bias))
        branch = self.cross_attention(self.cross_attention_frame(x), memory, memory_bias)
        x = self.cross_attention_frame.join(x, branch)
        return self.feed_forward_frame.join(x, self.feed_forward(self.feed_forward_frame(x)))

    def step(self, x: Tensor, history_bias: Tensor, rows: Tensor, caches: tuple[Tensor, Tensor],
             memory: tuple[Tensor, Tensor], memory_bias: Tensor) -> Tensor:
        """As `construct` for the newest symbols x [batch * beam_width, hidden_size]; see SelfAttention.step.

        The beams of a sentence are the queries of one attention, so its encoder keys and values
        (`memory`, each [batch, num_heads, source_len, head_size]) exist once.
        """
        branch = self.attention.step(self.attention_frame(x), history_bias, rows, caches[0], caches[1])
        x = self.attention_frame.join(x, branch)
        branch = self.cross_attention.attend(self.cross_attention_frame(x), memory[0], memory[1], memory_bias)
        x = self.cross_attention_frame.join(x, branch)
        return self.feed_forward_frame.join(x, self.feed_forward(self.feed_forward_frame(x)))


class Decoder(nn.Cell):
    """All decoder layers and the final norm."""

    def __init__(self, model: ModelConfig, seed: int):
        super().__init__()
        self.layers = nn.CellList([DecoderLayer(model, seed + 100 * i) for i in range(model.num_hidden_layers)])
        self.norm = LayerNorm(model.hidden_size)

    def construct(self, x: Tensor, causal_bias: Tensor, memory: Tensor, memory_bias: Tensor) -> Tensor:
        """x [batch * target_len, hidden_size], memory [batch * source_len, hidden_size] -> the shape of x."""
        for layer in self.layers:
            x = layer(x, causal_bias, memory, memory_bias)
        return self.norm(x)

    def memory_keys_values(self, memory: Tensor, batch: int) -> tuple[tuple[Tensor, Tensor], ...]:
        """Keys and values of the encoder's output, for each layer: computed once a sentence, used at each step."""
        return tuple([layer.cross_attention.keys_values(memory, batch) for layer in self.layers])
