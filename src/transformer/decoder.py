"""The Transformer decoder: a whole target at once, or one cached step."""
from mindspore import Tensor, nn

from config.config import ModelConfig
from src.transformer.feed_forward_network import FeedForwardNetwork
from src.transformer.layer_norm import LayerNorm
from src.transformer.multi_head_attention import MultiHeadAttention
from src.transformer.operators.interface import Operators
from src.transformer.residual_conn import ResidualConn
from src.transformer.self_attention import SelfAttention


class DecoderLayer(nn.Cell):
    """Causal self-attention, attention to the encoder, then the feed-forward network."""

    def __init__(self, model: ModelConfig, operators: Operators, seed: int):
        super().__init__()
        hidden, dropout = model.hidden_size, model.hidden_dropout_prob
        self.attention_frame = ResidualConn(hidden, dropout, operators)
        self.attention = SelfAttention(model, operators, True, seed)
        self.cross_attention_frame = ResidualConn(hidden, dropout, operators)
        self.cross_attention = MultiHeadAttention(model, operators, False, seed + 10)
        self.feed_forward_frame = ResidualConn(hidden, dropout, operators)
        self.feed_forward = FeedForwardNetwork(model, operators, seed + 20)

    def construct(self, x: Tensor, segments: Tensor, memory: Tensor, visible_segments: Tensor, seed: Tensor) -> Tensor:
        branch = self.attention(self.attention_frame(x), segments, segments, seed)
        x = self.attention_frame.join(x, branch, self.attention.output.bias, seed)
        branch = self.cross_attention(self.cross_attention_frame(x), memory, segments, visible_segments, seed)
        return self.finish(x, branch, seed)

    def finish(self, x: Tensor, branch: Tensor, seed: Tensor) -> Tensor:
        """What follows the attention to the encoder, whose product `branch` is."""
        x = self.cross_attention_frame.join(x, branch, self.cross_attention.output.bias, seed)
        branch = self.feed_forward(self.feed_forward_frame(x), seed)
        return self.feed_forward_frame.join(x, branch, self.feed_forward.contract.bias, seed)

    def step(self, x: Tensor, history_bias: Tensor, rows: Tensor, caches: tuple[Tensor, Tensor],
             memory: tuple[Tensor, Tensor], memory_bias: Tensor, seed: Tensor) -> tuple[Tensor, Tensor]:
        """As `construct` for the newest symbols x [batch * beam_width, hidden_size]; see SelfAttention.step.

        The beams of a sentence are the queries of one attention, so its encoder keys and values
        (`memory`, each [batch, num_heads, source_len, head_size]) exist once. Returns the weights of the attention to
        them besides, [batch, num_heads, beam_width, source_len].
        """
        branch = self.attention.step(self.attention_frame(x), history_bias, rows, caches[0], caches[1])
        x = self.attention_frame.join(x, branch, self.attention.output.bias, seed)
        branch, weights = self.cross_attention.attend(self.cross_attention_frame(x), memory[0], memory[1], memory_bias)
        return self.finish(x, branch, seed), weights


class Decoder(nn.Cell):
    """All decoder layers and the final norm."""

    def __init__(self, model: ModelConfig, operators: Operators, seed: int):
        super().__init__()
        self.layers = nn.CellList([DecoderLayer(model, operators, seed + 100 * i)
                                   for i in range(model.num_hidden_layers)])
        self.norm = LayerNorm(model.hidden_size, operators)

    def construct(self, x: Tensor, segments: Tensor, memory: Tensor, visible_segments: Tensor, seed: Tensor) -> Tensor:
        """x [batch * target_len, hidden_size], memory [batch * source_len, hidden_size] -> the shape of x.

        segments [batch, target_len]; visible_segments [batch, source_len] of what may be seen of the memory.
        """
        for layer in self.layers:
            x = layer(x, segments, memory, visible_segments, seed)
        return self.norm(x)

    def memory_keys_values(self, memory: Tensor, batch: int) -> tuple[tuple[Tensor, Tensor], ...]:
        """Keys and values of the encoder's output, for each layer: computed once a sentence, used at each step."""
        return tuple([layer.cross_attention.keys_values(memory, batch) for layer in self.layers])
