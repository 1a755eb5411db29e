"""The encoder and a step of the decoder, whose caches are inputs and outputs, as cells that MindSpore exports.

All shapes are fixed, because graphs of fixed shapes are many times faster: `batch` sentences of `source` tokens, and
`width` hypotheses of at most `length` tokens for each. Programs pad smaller batches and shorter sentences.
"""
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype

from config.config import ModelConfig
from src.transformer.create_attn_mask import create_attn_mask, mask_to_bias
from src.transformer.decoder import DecoderLayer
from src.transformer.dense import ProductAndBias
from src.transformer.multi_head_attention import MultiHeadAttention
from src.transformer.operators.dot_product_attention import split_heads
from src.transformer.operators.mindspore_operators import MindSporeOperators
from src.transformer.transformer import Transformer
from src.utils.dictionary import PAD_INDEX


class Shapes(NamedTuple):
    """The sizes of the graphs."""

    batch: int
    source: int
    width: int
    length: int


def portable_transformer(model: ModelConfig, weights: Mapping[str, np.ndarray]) -> Transformer:
    """Return the network with MindSpore's own operators, which every device has."""
    transformer = Transformer(model, MindSporeOperators())
    for name, parameter in transformer.parameters_and_names():
        parameter.set_data(Tensor(weights[name]))
    return transformer.set_train(False)


class EncoderCell(nn.Cell):
    """source_ids [batch, source] int32 -> cross_keys, cross_values [layers, batch, heads, source, head_size], and
    source_bias [batch, 1, 1, source]."""

    def __init__(self, transformer: Transformer, shapes: Shapes):
        super().__init__(auto_prefix=False)
        self.transformer = transformer
        self.batch = shapes.batch
        places = np.broadcast_to(np.arange(shapes.source, dtype=np.int32), (shapes.batch, shapes.source))
        self.positions = Tensor(np.ascontiguousarray(places))

    def construct(self, source_ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mask = (source_ids != PAD_INDEX).astype(mstype.int32)
        output = self.transformer.encode(source_ids, self.positions, mask, mask,
                                         self.transformer.no_dropout_seed)
        keys, values = [], []
        for key, value in self.transformer.decoder.encoder_keys_values(output, self.batch):
            keys.append(key)
            values.append(value)
        return ops.stack(keys), ops.stack(values), create_attn_mask(mask)


class DecoderCell(nn.Cell):
    """One step of the decoder for the newest tokens of `width` hypotheses of each sentence.

    Inputs: ids [batch, width] int32; position [1] int32; parents [batch * width] int32, the rows of the caches that
    each hypothesis continues; keys, values [layers, batch * width, heads, length, head_size], the caches, whose entries
    from `position` on are not read; and the results of the encoder.

    Outputs: log_probs [batch, width, vocabulary]; attention [batch, width, source], the mean over the heads of the
    weights of the last cross-attention; and the new caches.
    """

    def __init__(self, transformer: Transformer, shapes: Shapes):
        super().__init__(auto_prefix=False)
        self.transformer = transformer
        self.shape = (shapes.batch, shapes.width)
        self.places = Tensor(np.arange(shapes.length, dtype=np.int32))

    def construct(self, ids: Tensor, position: Tensor, parents: Tensor, keys: Tensor, values: Tensor,
                  cross_keys: Tensor, cross_values: Tensor, source_bias: Tensor) -> tuple:
        transformer, decoder = self.transformer, self.transformer.decoder
        x = transformer.embedding.embed_target(ids, ops.broadcast_to(position, self.shape),
                                               transformer.no_dropout_seed)
        history_bias = ops.reshape(mask_to_bias(self.places <= position), (1, 1, 1, -1))
        newest = ops.reshape((self.places == position).astype(mstype.float32), (1, 1, -1, 1))
        keys, values = ops.gather(keys, parents, 1), ops.gather(values, parents, 1)
        new_keys, new_values = [], []
        attention = None
        for number in range(len(decoder.layers)):
            caches = (keys[number], values[number], newest, history_bias)
            x, attention, key, value = self.layer(decoder.layers[number], x, caches,
                                                  (cross_keys[number], cross_values[number], source_bias))
            new_keys.append(key)
            new_values.append(value)
        log_probs = ops.log_softmax(transformer.embedding.logits(decoder.norm(x)), -1)
        return (ops.reshape(log_probs, (*self.shape, -1)), ops.mean(attention, 1), ops.stack(new_keys),
                ops.stack(new_values))

    def layer(self, layer: DecoderLayer, x: Tensor, caches: tuple, cross: tuple) -> tuple:
        """Return the layer's output, the weights of its cross-attention, and its new caches."""
        normalized, dropout_seed = layer.self_attention_norm(x), self.transformer.no_dropout_seed
        output, key, value = self.self_attend(layer.self_attention, normalized, caches)
        x = layer.self_attention_residual(x, output, dropout_seed)
        output, weights = layer.cross_attention.attend_with_weights(layer.cross_attention_norm(x), *cross)
        x = layer.cross_attention_residual(x, output, dropout_seed)
        output = layer.feed_forward(layer.feed_forward_norm(x), dropout_seed)
        return layer.feed_forward_residual(x, output, dropout_seed), weights, key, value

    def self_attend(self, attention: MultiHeadAttention, x: Tensor,
                    caches: tuple) -> tuple[ProductAndBias, Tensor, Tensor]:
        """Attend to the cached tokens and the newest one; each hypothesis is a row of one query."""
        keys, values, newest, bias = caches
        rows = self.shape[0] * self.shape[1]
        keys = keys * (1.0 - newest) + split_heads(attention.key(x), rows, attention.num_heads) * newest
        values = values * (1.0 - newest) + split_heads(attention.value(x), rows, attention.num_heads) * newest
        return attention.attend_with_weights(x, keys, values, bias)[0], keys, values


def cache_shape(model: ModelConfig, shapes: Shapes) -> tuple[int, ...]:
    """Return the shape of one of the caches."""
    return (model.num_hidden_layers, shapes.batch * shapes.width, model.num_attention_heads, shapes.length,
            model.hidden_size // model.num_attention_heads)
