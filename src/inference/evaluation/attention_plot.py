"""What the decoder looks at in the source while it predicts a target: weights and their picture."""
import io
import warnings
from collections.abc import Sequence

import numpy as np
from mindspore import Tensor, nn, ops

from src.transformer.create_attn_mask import segment_bias
from src.transformer.decoder import DecoderLayer
from src.transformer.transformer import NO_SEED, Transformer, visible_segments


class CrossAttentionWeights(nn.Cell):
    """Weights of the last decoder layer's attention to the encoder, mean over its heads, with teacher forcing."""

    def __init__(self, transformer: Transformer):
        super().__init__(auto_prefix=False)
        self.transformer = transformer

    def construct(self, source_ids: Tensor, source_positions: Tensor, source_segments: Tensor, source_mask: Tensor,
                  decoder_input_ids: Tensor, decoder_positions: Tensor, decoder_segments: Tensor) -> Tensor:
        """Arguments as Transformer has them -> [batch, target_len, source_len]."""
        network = self.transformer
        memory = network.encode(source_ids, source_positions, source_segments, source_mask, NO_SEED)
        visible = visible_segments(source_segments, source_mask)
        x = network.embedding(decoder_input_ids, decoder_positions, NO_SEED)
        layers = network.decoder.layers
        for i in range(len(layers) - 1):
            x = layers[i](x, decoder_segments, memory, visible, NO_SEED)
        return self.of_layer(layers[len(layers) - 1], x, decoder_segments, memory, visible)

    def of_layer(self, layer: DecoderLayer, x: Tensor, segments: Tensor, memory: Tensor, visible: Tensor) -> Tensor:
        """The weights in one layer, whose input is x [batch * target_len, hidden_size]."""
        branch = layer.attention(layer.attention_frame(x), segments, segments, NO_SEED)
        x = layer.attention_frame.join(x, branch, layer.attention.output.bias, NO_SEED)
        keys, values = layer.cross_attention.keys_values(memory, segments.shape[0])
        _, weights = layer.cross_attention.attend(layer.cross_attention_frame(x), keys, values,
                                                  segment_bias(segments, visible, False))
        return ops.mean(weights, 1)


def attention_picture(weights: np.ndarray, source: Sequence[str], target: Sequence[str]) -> bytes:
    """A PNG of weights [target, source], the darker the more."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.0 + 0.28 * len(source), 1.6 + 0.28 * len(target)), dpi=90, layout="tight")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(weights, cmap="Greys", aspect="auto", vmin=0.0)
    axes.set_xticks(range(len(source)), [_plain(symbol) for symbol in source], rotation=90, fontsize=8)
    axes.set_yticks(range(len(target)), [_plain(symbol) for symbol in target], fontsize=8)
    axes.set_xlabel("source")
    axes.set_ylabel("predicted")
    with io.BytesIO() as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of characters that matplotlib's font lacks: they are drawn as boxes
        figure.savefig(stream, format="png")
        return stream.getvalue()


def _plain(symbol: str) -> str:
    """A label in which matplotlib reads no formula."""
    return symbol.replace("$", r"\$")
