"""The encoder and a step of the decoder as ONNX graphs; all sizes of batches and lengths are free."""
import math
from collections.abc import Mapping

import numpy as np

from config.config import ModelConfig
from src.export.onnx.graph import Graph
from src.transformer.create_attn_mask import MASKED_BIAS
from src.transformer.layer_norm import EPSILON
from src.utils.dictionary import PAD_INDEX


class Writer:
    """Writes parts of the network into a graph.

    Values are [sentences, tokens, hidden_size] unless stated otherwise.
    """

    def __init__(self, name: str, model: ModelConfig, weights: Mapping[str, np.ndarray], positions: np.ndarray):
        self.graph = Graph(name)
        self.model, self._weights, self._positions = model, weights, positions
        self.heads, self.head_size = model.num_attention_heads, model.hidden_size // model.num_attention_heads

    def embed(self, ids: str, positions: str) -> str:
        """Embed ids; `positions` [tokens] or [1]."""
        graph, scale = self.graph, math.sqrt(self.model.hidden_size)
        tokens = graph.node("Mul", graph.node("Gather", self._weight("embedding.table"), ids), graph.number(scale))
        table = graph.constant("positions", self._positions)
        return graph.node("Add", tokens, graph.node("Gather", table, positions))

    def norm(self, x: str, name: str) -> str:
        return self.graph.node("LayerNormalization", x, self._weight(f"{name}.gamma"), self._weight(f"{name}.beta"),
                               axis=-1, epsilon=EPSILON)

    def dense(self, x: str, name: str) -> str:
        """The dense layer `name`."""
        product = self.graph.node("MatMul", x, self._transposed(f"{name}.weight"))
        return self.graph.node("Add", product, self._weight(f"{name}.bias"))

    def split_heads(self, x: str) -> str:
        """Return [sentences, heads, tokens, head_size]."""
        split = self.graph.node("Reshape", x, self.graph.integers(0, 0, self.heads, self.head_size))
        return self.graph.node("Transpose", split, perm=[0, 2, 1, 3])

    def attend(self, queries: str, keys: str, values: str, bias: str | None) -> tuple[str, str]:
        """Return the context of each head, of the shape of the queries, and the weights.

        All are [rows, heads, tokens, head_size]; `bias` broadcasts to the weights.
        """
        graph = self.graph
        scores = graph.node("MatMul", graph.node("Mul", queries, graph.number(1.0 / math.sqrt(self.head_size))),
                            graph.node("Transpose", keys, perm=[0, 1, 3, 2]))
        weights = graph.node("Softmax", graph.node("Add", scores, bias) if bias else scores, axis=-1)
        return graph.node("MatMul", weights, values), weights

    def join_heads(self, context: str) -> str:
        """Undo split_heads."""
        rows = self.graph.node("Transpose", context, perm=[0, 2, 1, 3])
        return self.graph.node("Reshape", rows, self.graph.integers(0, 0, self.model.hidden_size))

    def add_feed_forward(self, x: str, layer: str) -> str:
        """The feed-forward network with its norm and residual connection."""
        inner = self.dense(self.norm(x, f"{layer}.feed_forward_norm"), f"{layer}.feed_forward.fc1")
        inner = self.graph.node({"relu": "Relu", "gelu": "Gelu"}[self.model.hidden_act], inner)
        return self.graph.node("Add", x, self.dense(inner, f"{layer}.feed_forward.fc2"))

    def log_probs(self, states: str) -> str:
        """Return [sentences, tokens, vocabulary]."""
        logits = self.graph.node("MatMul", states, self._transposed("embedding.table"))
        return self.graph.node("LogSoftmax", logits, axis=-1)

    def stack(self, values: list[str]) -> str:
        """Stack values along a new first dimension."""
        first = self.graph.integers(0)
        return self.graph.node("Concat", *(self.graph.node("Unsqueeze", value, first) for value in values), axis=0)

    def layer_of(self, stacked: str, number: int) -> str:
        """Undo `stack`."""
        return self.graph.node("Gather", stacked, self.graph.index(number), axis=0)

    def _weight(self, name: str) -> str:
        return self.graph.constant(name, self._weights[name])

    def _transposed(self, name: str) -> str:
        """Matrices are stored as MatMul reads them, so that quantization finds them."""
        return self.graph.constant(f"{name}.transposed", self._weights[name].T)


def encoder_graph(model: ModelConfig, weights: Mapping[str, np.ndarray], positions: np.ndarray) -> Graph:
    """source_ids [sentences, source] -> cross_keys, cross_values [layers, sentences, heads, source, head_size], and
    source_bias [sentences, 1, 1, source], which is added to the scores of attention."""
    writer = Writer("encoder", model, weights, positions)
    graph = writer.graph
    ids = graph.input("source_ids", "int64", ("sentences", "source"))
    padding = graph.node("Cast", graph.node("Equal", ids, graph.index(PAD_INDEX)), to=1)
    bias = graph.node("Unsqueeze", graph.node("Mul", padding, graph.number(MASKED_BIAS)), graph.integers(1, 2))
    length = graph.node("Gather", graph.node("Shape", ids), graph.index(1))
    x = writer.embed(ids, graph.node("Range", graph.index(0), length, graph.index(1)))
    for number in range(model.num_hidden_layers):
        layer = f"encoder.layers.{number}"
        normalized = writer.norm(x, f"{layer}.self_attention_norm")
        parts = [writer.split_heads(writer.dense(normalized, f"{layer}.self_attention.{part}"))
                 for part in ("query", "key", "value")]
        context = writer.join_heads(writer.attend(*parts, bias)[0])
        x = graph.node("Add", x, writer.dense(context, f"{layer}.self_attention.output"))
        x = writer.add_feed_forward(x, layer)
    x = writer.norm(x, "encoder.norm")
    shape = (model.num_hidden_layers, "sentences", writer.heads, "source", writer.head_size)
    for part in ("key", "value"):
        stacked = writer.stack([writer.split_heads(writer.dense(x, f"decoder.layers.{number}.cross_attention.{part}"))
                                for number in range(model.num_hidden_layers)])
        graph.output(stacked, f"cross_{part}s", "float", shape)
    graph.output(bias, "source_bias", "float", ("sentences", 1, 1, "source"))
    return graph


def decoder_graph(model: ModelConfig, weights: Mapping[str, np.ndarray], positions: np.ndarray) -> Graph:
    """One step of the decoder for the newest tokens of `width` hypotheses of each sentence.

    Inputs: ids [sentences, width]; position [1]; parents [sentences * width], the rows of the caches that each
    hypothesis continues; keys, values [layers, any number, heads, past, head_size], the caches; and the results of the
    encoder.

    Outputs: log_probs [sentences, width, vocabulary]; attention [sentences, width, source], the mean over the heads of
    the weights of the last cross-attention; and the new caches.
    """
    writer = Writer("decoder", model, weights, positions)
    graph, layers = writer.graph, model.num_hidden_layers
    ids = graph.input("ids", "int64", ("sentences", "width"))
    position = graph.input("position", "int64", (1,))
    parents = graph.input("parents", "int64", ("rows",))
    caches = [graph.node("Gather", graph.input(name, "float", (layers, "cached_rows", writer.heads, "past",
                                                              writer.head_size)),
                         parents, axis=1) for name in ("keys", "values")]
    cross = [graph.input(name, "float", (layers, "sentences", writer.heads, "source", writer.head_size))
             for name in ("cross_keys", "cross_values")]
    bias = graph.input("source_bias", "float", ("sentences", 1, 1, "source"))
    flat = graph.node("Concat", graph.node("Shape", ids), graph.integers(model.hidden_size), axis=0)
    single = graph.integers(-1, writer.heads, 1, writer.head_size)
    new_caches: tuple[list[str], list[str]] = ([], [])
    x, weights_of_last = writer.embed(ids, position), ""
    for number in range(layers):
        layer = f"decoder.layers.{number}"
        normalized = writer.norm(x, f"{layer}.self_attention_norm")
        query, *newest = (graph.node("Reshape", writer.dense(normalized, f"{layer}.self_attention.{part}"), single)
                          for part in ("query", "key", "value"))
        for cache, new_cache, one in zip(caches, new_caches, newest, strict=True):
            new_cache.append(graph.node("Concat", writer.layer_of(cache, number), one, axis=2))
        context = graph.node("Reshape", writer.attend(query, new_caches[0][-1], new_caches[1][-1], None)[0], flat)
        x = graph.node("Add", x, writer.dense(context, f"{layer}.self_attention.output"))
        query = writer.split_heads(writer.dense(writer.norm(x, f"{layer}.cross_attention_norm"),
                                                f"{layer}.cross_attention.query"))
        context, weights_of_last = writer.attend(query, *(writer.layer_of(one, number) for one in cross), bias)
        x = graph.node("Add", x, writer.dense(writer.join_heads(context), f"{layer}.cross_attention.output"))
        x = writer.add_feed_forward(x, layer)
    graph.output(writer.log_probs(writer.norm(x, "decoder.norm")), "log_probs", "float",
                 ("sentences", "width", model.vocab_size))
    mean = graph.node("ReduceMean", weights_of_last, graph.integers(1), keepdims=0)
    graph.output(mean, "attention", "float", ("sentences", "width", "source"))
    shape = (layers, "rows", writer.heads, "length", writer.head_size)
    for name, new_cache in zip(("new_keys", "new_values"), new_caches, strict=True):
        graph.output(writer.stack(new_cache), name, "float", shape)
    return graph
