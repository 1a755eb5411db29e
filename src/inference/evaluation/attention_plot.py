"""Cross-attention weights of the decoder, and pictures of them."""
import io
import warnings
from collections.abc import Sequence

import numpy as np
from mindspore import Tensor, nn, ops

from src.transformer.create_attn_mask import segment_bias
from src.transformer.decoder import DecoderLayer
from src.transformer.dense import ProductAndBias
from src.transformer.transformer import Transformer, mask_segments


class CrossAttentionWeights(nn.Cell):
    """Computes the cross-attention weights of the last decoder layer with teacher forcing, averaged over the heads."""

    def __init__(self, transformer: Transformer):
        super().__init__(auto_prefix=False)
        self.transformer = transformer

    def construct(self, source_ids: Tensor, source_positions: Tensor, source_segments: Tensor, source_mask: Tensor,
                  decoder_input_ids: Tensor, decoder_positions: Tensor, decoder_segments: Tensor) -> Tensor:
        """Return the weights, [batch, target_len, source_len]; the arguments are those of Transformer."""
        network, dropout_seed = self.transformer, self.transformer.no_dropout_seed
        encoder_output = network.encode(source_ids, source_positions, source_segments, source_mask, dropout_seed)
        key_segments = mask_segments(source_segments, source_mask)
        x = network.embedding.embed_target(decoder_input_ids, decoder_positions, dropout_seed)
        layers = network.decoder.layers
        for i in range(len(layers) - 1):
            x = layers[i](x, decoder_segments, encoder_output, key_segments, dropout_seed)
        return self.layer_weights(layers[len(layers) - 1], x, decoder_segments, encoder_output, key_segments)

    def layer_weights(self, layer: DecoderLayer, x: Tensor, segments: Tensor, encoder_output: Tensor,
                      source_segments: Tensor) -> Tensor:
        """Return the weights of one layer, whose input is x [batch * target_len, hidden_size]."""
        keys, values = layer.cross_attention.keys_values(encoder_output, segments.shape[0])
        bias = segment_bias(segments, source_segments, False)
        dropout_seed = self.transformer.no_dropout_seed

        def self_attend(x: Tensor) -> ProductAndBias:
            return layer.self_attention(x, segments, segments, dropout_seed)

        def cross_attend(x: Tensor) -> tuple[ProductAndBias, Tensor]:
            return layer.cross_attention.attend_with_weights(x, keys, values, bias)

        return ops.mean(layer.sub_layers(x, self_attend, cross_attend, dropout_seed)[1], 1)


def attention_picture(weights: np.ndarray, source: Sequence[str], target: Sequence[str]) -> bytes:
    """Draw weights as a PNG image; larger weights are darker.

    Args:
        weights: [target_len, source_len].
        source: the tokens of the source.
        target: the tokens of the target.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.0 + 0.28 * len(source), 1.6 + 0.28 * len(target)), dpi=90, layout="tight")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(weights, cmap="Greys", aspect="auto", vmin=0.0)
    axes.set_xticks(range(len(source)), [_plain(token) for token in source], rotation=90, fontsize=8)
    axes.set_yticks(range(len(target)), [_plain(token) for token in target], fontsize=8)
    axes.set_xlabel("source")
    axes.set_ylabel("predicted")
    with io.BytesIO() as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # characters that the font of matplotlib lacks are drawn as boxes
        figure.savefig(stream, format="png")
        return stream.getvalue()


def _plain(token: str) -> str:
    """Return the token as a label that matplotlib does not interpret as a formula."""
    return token.replace("$", r"\$")
