"""The Transformer decoder."""
from collections.abc import Callable

from mindspore import Tensor, nn

from config.config import ModelConfig
from src.transformer.dense import ProductAndBias
from src.transformer.feed_forward_network import FeedForwardNetwork
from src.transformer.layer_norm import LayerNorm
from src.transformer.multi_head_attention import MultiHeadAttention
from src.transformer.operators.interface import Operators
from src.transformer.residual_conn import ResidualConn
from src.transformer.self_attention import SelfAttention


class DecoderLayer(nn.Cell):
    """Self-attention, cross-attention and the feed-forward network, each with a pre-norm and a residual connection.

    `sub_layers` is the layer's computation. It is given the two attentions as functions, because they are computed in
    different ways: over a whole target (`construct`), over cached keys and values (`step`), or with the weights of the
    cross-attention as a result (the attention plot of the evaluation).
    """

    def __init__(self, model: ModelConfig, operators: Operators, init_seed: int):
        super().__init__()
        hidden, dropout = model.hidden_size, model.hidden_dropout_prob
        self.self_attention_norm = LayerNorm(hidden, operators)
        self.self_attention_residual = ResidualConn(dropout, operators)
        self.self_attention = SelfAttention(model, operators, True, init_seed)
        self.cross_attention_norm = LayerNorm(hidden, operators)
        self.cross_attention_residual = ResidualConn(dropout, operators)
        self.cross_attention = MultiHeadAttention(model, operators, False, init_seed + 10)
        self.feed_forward_norm = LayerNorm(hidden, operators)
        self.feed_forward_residual = ResidualConn(dropout, operators)
        self.feed_forward = FeedForwardNetwork(model, operators, init_seed + 20)

    def construct(self, x: Tensor, segments: Tensor, encoder_output: Tensor, source_segments: Tensor,
                  dropout_seed: Tensor) -> Tensor:
        """Run the layer over whole targets; see Decoder.construct."""
        def self_attend(x: Tensor) -> ProductAndBias:
            return self.self_attention(x, segments, segments, dropout_seed)

        def cross_attend(x: Tensor) -> tuple[ProductAndBias, None]:
            return self.cross_attention(x, encoder_output, segments, source_segments, dropout_seed), None

        return self.sub_layers(x, self_attend, cross_attend, dropout_seed)[0]

    def step(self, x: Tensor, history_bias: Tensor, rows: Tensor, caches: tuple[Tensor, Tensor],
             encoder_keys_values: tuple[Tensor, Tensor], source_bias: Tensor,
             dropout_seed: Tensor) -> tuple[Tensor, Tensor]:
        """Run the layer over the newest token of each hypothesis, x [batch * beam_width, hidden_size].

        The hypotheses of a sentence are the queries of one cross-attention, so its keys and values are kept once.

        Args:
            history_bias, rows, caches: of the self-attention; see SelfAttention.step.
            encoder_keys_values: of the cross-attention, each [batch, num_heads, source_len, head_size].
            source_bias: masks tokens of the source; see `create_attn_mask`.
            dropout_seed: [2] int32, not used in evaluation.

        Returns:
            the layer's output, of the shape of x, and the weights of the cross-attention,
            [batch, num_heads, beam_width, source_len].
        """
        def self_attend(x: Tensor) -> ProductAndBias:
            return self.self_attention.step(x, history_bias, rows, caches[0], caches[1])

        def cross_attend(x: Tensor) -> tuple[ProductAndBias, Tensor]:
            return self.cross_attention.attend_with_weights(x, encoder_keys_values[0], encoder_keys_values[1],
                                                            source_bias)

        return self.sub_layers(x, self_attend, cross_attend, dropout_seed)

    def sub_layers(self, x: Tensor, self_attend: Callable[[Tensor], ProductAndBias],
                   cross_attend: Callable[[Tensor], tuple[ProductAndBias, Tensor | None]],
                   dropout_seed: Tensor) -> tuple[Tensor, Tensor | None]:
        """Run the layer with the given attentions, which are functions of normalized states.

        x [rows, hidden_size] -> the layer's output, of the same shape, and the second result of `cross_attend`.
        """
        output = self_attend(self.self_attention_norm(x))
        x = self.self_attention_residual(x, output, dropout_seed)
        output, weights = cross_attend(self.cross_attention_norm(x))
        x = self.cross_attention_residual(x, output, dropout_seed)
        output = self.feed_forward(self.feed_forward_norm(x), dropout_seed)
        return self.feed_forward_residual(x, output, dropout_seed), weights


class Decoder(nn.Cell):
    """The decoder layers and the final layer norm."""

    def __init__(self, model: ModelConfig, operators: Operators, init_seed: int):
        super().__init__()
        self.layers = nn.CellList([DecoderLayer(model, operators, init_seed + 100 * i)
                                   for i in range(model.num_hidden_layers)])
        self.norm = LayerNorm(model.hidden_size, operators)

    def construct(self, x: Tensor, segments: Tensor, encoder_output: Tensor, source_segments: Tensor,
                  dropout_seed: Tensor) -> Tensor:
        """Decode whole targets, each token of which attends to those before it and to the source.

        x [batch * target_len, hidden_size], the embedded target -> decoder states of the same shape.

        Args:
            segments: [batch, target_len] int32; see Transformer.construct.
            encoder_output: [batch * source_len, hidden_size].
            source_segments: [batch, source_len] int32, negative where masked; see `mask_segments`.
            dropout_seed: [2] int32.
        """
        for layer in self.layers:
            x = layer(x, segments, encoder_output, source_segments, dropout_seed)
        return self.norm(x)

    def encoder_keys_values(self, encoder_output: Tensor, batch: int) -> tuple[tuple[Tensor, Tensor], ...]:
        """Return the keys and values of each layer's cross-attention, [batch, num_heads, source_len, head_size] each.

        The search computes them once for a batch of sources and uses them at every step.
        """
        return tuple([layer.cross_attention.keys_values(encoder_output, batch) for layer in self.layers])
