"""The weights of a network in the layout of the C code of the search (src/transformer/kernels/network.h)."""
import ctypes
from ctypes import POINTER, Structure, c_float, c_int64, c_void_p

import numpy as np
from mindspore import nn

from src.transformer.decoder import DecoderLayer
from src.transformer.decoding.number_formats import NUMBER_FORMATS, StepFormats
from src.transformer.dense import Dense as DenseCell
from src.transformer.encoder import EncoderLayer
from src.transformer.layer_norm import LayerNorm
from src.transformer.multi_head_attention import MultiHeadAttention
from src.transformer.transformer import Transformer

Floats = Ints = Longs = c_void_p  # addresses: to make a typed pointer takes longer than a small product
_ALIGNMENT = 64  # bytes: a cache line, and a vector


# The structures of network.h and packed_matmul.h; `check_struct_sizes` compares their sizes with those in C.
class _Norm(Structure):
    _fields_ = [("gamma", Floats), ("beta", Floats)]


class Dense(Structure):
    _fields_ = [*((name, Floats) for name in ("panels", "bias", "scales", "totals")),
                *((name, c_int64) for name in ("inputs", "outputs", "format"))]


class _SelfAttention(Structure):
    _fields_ = [("norm", _Norm), ("query_key_value", Dense), ("output", Dense)]


class _CrossAttention(Structure):
    _fields_ = [("norm", _Norm), ("query", Dense), ("key_value", Dense), ("output", Dense)]


class _FeedForward(Structure):
    _fields_ = [("norm", _Norm), ("fc1", Dense), ("fc2", Dense)]


class _EncoderLayer(Structure):
    _fields_ = [("self_attention", _SelfAttention), ("feed_forward", _FeedForward)]


class _DecoderLayer(Structure):
    _fields_ = [("self_attention", _SelfAttention), ("cross_attention", _CrossAttention),
                ("feed_forward", _FeedForward)]


class Network(Structure):
    """Sizes and weights of the whole network."""

    _fields_ = [*((name, c_int64) for name in ("hidden", "heads", "inner", "vocabulary", "positions", "encoder_layers",
                                               "decoder_layers", "gelu")),
                ("epsilon", c_float), ("embedding_scale", c_float), ("table", Floats), ("position_table", Floats),
                ("encoder", POINTER(_EncoderLayer)), ("decoder", POINTER(_DecoderLayer)),
                ("encoder_norm", _Norm), ("decoder_norm", _Norm), ("logits", Dense)]


class PackedMatrix:
    """A weight [outputs, inputs] and a bias [outputs], packed for products with them.

    Args:
        library: the C code.
        number_format: one of NUMBER_FORMATS.
    """

    def __init__(self, library: ctypes.CDLL, weight: np.ndarray, bias: np.ndarray | None, number_format: str):
        self._library, self._format = library, NUMBER_FORMATS.index(number_format)
        self._shape = outputs, inputs = weight.shape
        size = library.packed_size(self._format, outputs, inputs)
        padded = library.packed_size(0, outputs, 1)
        self._arrays = tuple(map(aligned_floats, (size, padded, padded)))
        self.set(weight, bias)

    def set(self, weight: np.ndarray, bias: np.ndarray | None) -> None:
        """Replace the numbers by others of the same shapes."""
        weight = np.ascontiguousarray(weight, np.float32)
        panels, scales, totals = map(address, self._arrays)
        self._library.pack_weight(self._format, address(weight), *self._shape, panels, scales, totals)
        self._bias = None if bias is None else np.ascontiguousarray(bias, np.float32)
        outputs, inputs = self._shape
        self.dense = Dense(panels, None if bias is None else address(self._bias), scales, totals, inputs, outputs,
                            self._format)

    def product(self, x: np.ndarray) -> np.ndarray:
        """Return x weight^T + bias: [rows, inputs] -> [rows, outputs] float32."""
        x = np.ascontiguousarray(x, np.float32)
        result = np.empty((len(x), self._shape[0]), np.float32)
        if self._library.packed_product(ctypes.byref(self.dense), address(x), len(x), address(result)):
            raise MemoryError
        return result


class PackedWeights:
    """A copy of the weights of a network for the C code; `refresh` copies them again.

    Args:
        library: the C code.
        transformer: the network.
        formats: of the weights of matrix products.
    """

    def __init__(self, library: ctypes.CDLL, transformer: Transformer, formats: StepFormats):
        self._library, self._transformer, self._formats = library, transformer, formats
        self._held: list[object] = []  # what the structures point to
        self._packed: dict[str, PackedMatrix] = {}  # used again, so that a refresh needs no more memory
        self.network = Network()
        self.refresh()

    def refresh(self) -> None:
        """Copy the present weights of the network."""
        self._held.clear()
        transformer, model = self._transformer, self._transformer.model
        embedding = transformer.embedding
        table = embedding.table.asnumpy()
        position_table = embedding.positions.encodings.asnumpy()
        self.network = Network(
            model.hidden_size, model.num_attention_heads, model.intermediate_size, len(table), len(position_table),
            len(transformer.encoder.layers), len(transformer.decoder.layers), model.hidden_act == "gelu",
            transformer.decoder.norm.epsilon, embedding.scale, self._hold(table), self._hold(position_table),
            self._encoder_layers(transformer.encoder.layers), self._decoder_layers(transformer.decoder.layers),
            self._norm(transformer.encoder.norm), self._norm(transformer.decoder.norm),
            self._pack("logits", table, None, self._formats.logits))

    def _encoder_layers(self, cells: nn.CellList) -> ctypes.Array:
        layers = [_EncoderLayer(self._self_attention(f"encoder.{i}", cell), self._feed_forward(f"encoder.{i}", cell))
                  for i, cell in enumerate(cells)]
        return self._hold_array((_EncoderLayer * len(layers))(*layers))

    def _decoder_layers(self, cells: nn.CellList) -> ctypes.Array:
        layers = [_DecoderLayer(self._self_attention(f"decoder.{i}", cell),
                                self._cross_attention(f"decoder.{i}", cell.cross_attention, cell.cross_attention_norm),
                                self._feed_forward(f"decoder.{i}", cell))
                  for i, cell in enumerate(cells)]
        return self._hold_array((_DecoderLayer * len(layers))(*layers))

    def _self_attention(self, layer: str, cell: EncoderLayer | DecoderLayer) -> _SelfAttention:
        own = cell.self_attention
        return _SelfAttention(self._norm(cell.self_attention_norm),
                              self._dense(f"{layer}.query_key_value", own.query, own.key, own.value),
                              self._dense(f"{layer}.output", own.output))

    def _cross_attention(self, layer: str, cross: MultiHeadAttention, norm: LayerNorm) -> _CrossAttention:
        return _CrossAttention(self._norm(norm), self._dense(f"{layer}.cross_query", cross.query),
                               self._dense(f"{layer}.cross_key_value", cross.key, cross.value),
                               self._dense(f"{layer}.cross_output", cross.output))

    def _feed_forward(self, layer: str, cell: EncoderLayer | DecoderLayer) -> _FeedForward:
        return _FeedForward(self._norm(cell.feed_forward_norm), self._dense(f"{layer}.fc1", cell.feed_forward.fc1),
                            self._dense(f"{layer}.fc2", cell.feed_forward.fc2))

    def _norm(self, norm: LayerNorm) -> _Norm:
        return _Norm(self._hold(norm.gamma.asnumpy()), self._hold(norm.beta.asnumpy()))

    def _dense(self, name: str, *cells: DenseCell) -> Dense:
        """Pack the projections of one input as one matrix."""
        number_format = self._formats.fc2 if name.endswith(".fc2") else self._formats.projections
        return self._pack(name, np.concatenate([cell.weight.asnumpy() for cell in cells]),
                          np.concatenate([cell.bias.asnumpy() for cell in cells]), number_format)

    def _pack(self, name: str, weight: np.ndarray, bias: np.ndarray | None, number_format: str) -> Dense:
        if name not in self._packed:
            self._packed[name] = PackedMatrix(self._library, weight, bias, number_format)
        else:
            self._packed[name].set(weight, bias)
        return self._packed[name].dense

    def _hold(self, array: np.ndarray) -> int:
        """Keep an array, as float32, for as long as this object, and return its address."""
        array = np.ascontiguousarray(array, np.float32)
        self._held.append(array)
        return address(array)

    def _hold_array(self, array: ctypes.Array) -> ctypes.Array:
        self._held.append(array)
        return array


def aligned_floats(count: int) -> np.ndarray:
    """Return an uninitialized float32 array [count] that begins on a cache line."""
    raw = np.empty(4 * count + _ALIGNMENT, np.uint8)
    first = -raw.ctypes.data % _ALIGNMENT
    return raw[first : first + 4 * count].view(np.float32)


def address(array: np.ndarray) -> int:
    """Return the address of an array's data."""
    return array.ctypes.data
