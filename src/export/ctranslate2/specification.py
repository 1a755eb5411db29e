"""Our network as CTranslate2 describes networks."""
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from ctranslate2.specs import TransformerSpec, common_spec

from src.export.interface import ExportedModel
from src.transformer.layer_norm import EPSILON
from src.utils.dictionary import BOS_INDEX, EOS_INDEX, SPECIAL_TOKENS, UNK_INDEX

_ACTIVATIONS = {"relu": common_spec.Activation.RELU, "gelu": common_spec.Activation.GELU}


def make_specification(model: ExportedModel) -> TransformerSpec:
    """Return the specification with all weights and the vocabulary, ready to be validated and saved."""
    own = model.files.config.model_config
    weights = {name: array.copy() for name, array in model.weights.items()}  # quantization changes them in place
    spec = TransformerSpec.from_config(own.num_hidden_layers, own.num_attention_heads, pre_norm=True,
                                       activation=_ACTIVATIONS[own.hidden_act], alignment_layer=-1,
                                       alignment_heads=own.num_attention_heads)
    table = weights["embedding.table"]
    for name, side in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        side.scale_embeddings = True
        side.position_encodings.encodings = model.positions
        _set_norm(side.layer_norm, weights, f"{name}.norm")
        for number, layer in enumerate(side.layer):
            _set_layer(layer, weights, f"{name}.layers.{number}")
    spec.encoder.embeddings[0].weight = spec.decoder.embeddings.weight = spec.decoder.projection.weight = table
    spec.register_source_vocabulary(model.files.vocabulary.tokens)
    spec.register_target_vocabulary(model.files.vocabulary.tokens)
    spec.config.bos_token, spec.config.eos_token = SPECIAL_TOKENS[BOS_INDEX], SPECIAL_TOKENS[EOS_INDEX]
    spec.config.unk_token, spec.config.decoder_start_token = SPECIAL_TOKENS[UNK_INDEX], SPECIAL_TOKENS[BOS_INDEX]
    spec.config.add_source_bos, spec.config.add_source_eos = False, False  # generate.py appends </s>
    spec.config.layer_norm_epsilon = EPSILON
    return spec


def _set_layer(layer: Any, weights: Mapping[str, np.ndarray], name: str) -> None:
    _set_norm(layer.self_attention.layer_norm, weights, f"{name}.self_attention_norm")
    _set_dense(layer.self_attention.linear[0], weights, f"{name}.self_attention", ("query", "key", "value"))
    _set_dense(layer.self_attention.linear[1], weights, f"{name}.self_attention", ("output",))
    if f"{name}.cross_attention_norm.gamma" in weights:
        _set_norm(layer.attention.layer_norm, weights, f"{name}.cross_attention_norm")
        for dense, parts in zip(layer.attention.linear, (("query",), ("key", "value"), ("output",)), strict=True):
            _set_dense(dense, weights, f"{name}.cross_attention", parts)
    _set_norm(layer.ffn.layer_norm, weights, f"{name}.feed_forward_norm")
    for dense, part in ((layer.ffn.linear_0, "fc1"), (layer.ffn.linear_1, "fc2")):
        _set_dense(dense, weights, f"{name}.feed_forward", (part,))


def _set_norm(norm: Any, weights: Mapping[str, np.ndarray], name: str) -> None:
    norm.gamma, norm.beta = weights[f"{name}.gamma"], weights[f"{name}.beta"]


def _set_dense(dense: Any, weights: Mapping[str, np.ndarray], name: str, parts: Iterable[str]) -> None:
    """Set one dense layer from ours, one below the other."""
    dense.weight, dense.bias = (np.concatenate([weights[f"{name}.{part}.{kind}"] for part in parts])
                                for kind in ("weight", "bias"))
