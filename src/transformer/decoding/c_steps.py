"""Cached single steps in C (kernels/decode_step.c), for the CPU. See graph_steps.py for the other form."""
import ctypes
from ctypes import POINTER, Structure, c_float, c_int, c_int64, c_void_p

import numpy as np
from mindspore import nn

from src.common.errors import MassError
from src.transformer.decoding.step import NOT_FINITE, StepResult
from src.transformer.dense import Dense
from src.transformer.layer_norm import LayerNorm
from src.transformer.transformer import Transformer
from src.utils.dictionary import EOS_INDEX

_Floats = _Ints = _Longs = c_void_p  # addresses: to make a typed pointer takes longer than a small product
_ALIGNMENT = 64  # bytes: a cache line, and a vector
_FAILURES = {1: "there is not enough memory", 2: "a symbol or position is out of range (see above)",
             4: NOT_FINITE}


class _Norm(Structure):
    _fields_ = [("gamma", _Floats), ("beta", _Floats)]


class _Dense(Structure):
    _fields_ = [("panels", _Floats), ("bias", _Floats), ("inputs", c_int64), ("outputs", c_int64)]


class _Layer(Structure):
    _fields_ = [*((name, _Norm) for name in ("attention_norm", "cross_norm", "feed_forward_norm")),
                *((name, _Dense) for name in ("query_key_value", "attention_output", "cross_query", "cross_key_value",
                                              "cross_output", "expand", "contract"))]


class _Network(Structure):
    _fields_ = [*((name, c_int64) for name in ("hidden", "heads", "inner", "symbols", "positions", "encoder_layers",
                                               "decoder_layers", "gelu")),
                ("epsilon", c_float), ("embedding_scale", c_float), ("table", _Floats), ("position_table", _Floats),
                ("encoder", POINTER(_Layer)), ("decoder", POINTER(_Layer)),
                ("encoder_norm", _Norm), ("decoder_norm", _Norm), ("logits", _Dense)]


class _Source(Structure):
    _fields_ = [("batch", c_int64), ("symbols", c_int64), ("longest", c_int64), ("starts", _Longs), ("ids", _Ints),
                ("positions", _Ints), ("visible", _Ints), ("memory", _Floats)]


class _Step(Structure):
    _fields_ = [*((name, c_int64) for name in ("count", "width", "position", "max_length", "candidates", "eos")),
                *((name, _Ints) for name in ("sentences", "last_ids", "ancestors")), ("cache", _Floats),
                ("log_probs", _Floats), ("ids", _Ints), ("eos_log_probs", _Floats), ("attention", _Floats)]


class PackedWeights:
    """The weights of a network as the C functions take them; a copy, to be made again when the weights change."""

    def __init__(self, library: ctypes.CDLL, transformer: Transformer):
        self._library, self._transformer = library, transformer
        self._held: list[object] = []  # what the structure points to
        self._packed: dict[str, np.ndarray] = {}  # reused, so that a refresh needs no more memory
        self.network = _Network()
        self.refresh()

    def refresh(self) -> None:
        """Copy the weights that the network has now."""
        self._held.clear()
        transformer, model = self._transformer, self._transformer.model
        embedding = transformer.embedding
        table = embedding.table.asnumpy()
        position_table = embedding.positions.encodings.asnumpy()
        self.network = _Network(
            model.hidden_size, model.num_attention_heads, model.intermediate_size, len(table), len(position_table),
            len(transformer.encoder.layers), len(transformer.decoder.layers), model.hidden_act == "gelu",
            transformer.decoder.norm.epsilon, embedding.scale, self._hold(table), self._hold(position_table),
            self._layers("encoder", transformer.encoder.layers), self._layers("decoder", transformer.decoder.layers),
            self._norm(transformer.encoder.norm), self._norm(transformer.decoder.norm),
            self._pack("logits", table, None))

    def _layers(self, side: str, cells: nn.CellList) -> ctypes.Array:
        layers = (_Layer * len(cells))(*(self._layer(f"{side}.{i}", cell) for i, cell in enumerate(cells)))
        self._held.append(layers)
        return layers

    def _layer(self, name: str, cell: nn.Cell) -> _Layer:
        layer, own = _Layer(), cell.self_attention
        layer.attention_norm = self._norm(cell.self_attention_norm)
        layer.query_key_value = self._dense(f"{name}.query_key_value", own.query, own.key, own.value)
        layer.attention_output = self._dense(f"{name}.output", own.output)
        if hasattr(cell, "cross_attention"):
            cross = cell.cross_attention
            layer.cross_norm = self._norm(cell.cross_attention_norm)
            layer.cross_query = self._dense(f"{name}.cross_query", cross.query)
            layer.cross_key_value = self._dense(f"{name}.cross_key_value", cross.key, cross.value)
            layer.cross_output = self._dense(f"{name}.cross_output", cross.output)
        layer.feed_forward_norm = self._norm(cell.feed_forward_norm)
        layer.expand = self._dense(f"{name}.expand", cell.feed_forward.fc1)
        layer.contract = self._dense(f"{name}.contract", cell.feed_forward.fc2)
        return layer

    def _norm(self, norm: LayerNorm) -> _Norm:
        return _Norm(self._hold(norm.gamma.asnumpy()), self._hold(norm.beta.asnumpy()))

    def _dense(self, name: str, *cells: Dense) -> _Dense:
        """Several projections of the same input become one product."""
        return self._pack(name, np.concatenate([cell.weight.asnumpy() for cell in cells]),
                          np.concatenate([cell.bias.asnumpy() for cell in cells]))

    def _pack(self, name: str, weight: np.ndarray, bias: np.ndarray | None) -> _Dense:
        outputs, inputs = weight.shape
        if name not in self._packed:
            self._packed[name] = aligned_floats(self._library.packed_size(outputs, inputs))
        weight = np.ascontiguousarray(weight, np.float32)
        self._library.pack_weight(_address(weight), outputs, inputs, _address(self._packed[name]))
        return _Dense(_address(self._packed[name]), None if bias is None else self._hold(bias), inputs, outputs)

    def _hold(self, array: np.ndarray) -> int:
        """The address of an array, as float32, that stays as long as this."""
        array = np.ascontiguousarray(array, np.float32)
        self._held.append(array)
        return _address(array)


class CSteps:
    """Encodes a batch, then answers the search step by step. Nothing is compiled for shapes, nothing is padded.

    Args:
        library: path of the compiled kernels.
        batch: sentences a batch, at most; those that are done cost nothing.
        candidates: symbols returned for each hypothesis.
        attention: whether steps return it.
    """

    def __init__(self, library: str, transformer: Transformer, batch: int, width: int, max_length: int,
                 candidates: int, attention: bool):
        self._library = _load(library)
        self._width, self._max_length, self._candidates = width, max_length, candidates
        self._attention = attention
        self._weights = PackedWeights(self._library, transformer)
        layers = self._weights.network.decoder_layers
        # Memory that is never touched is never taken: most answers are shorter than max_length.
        entry = 2 * self._weights.network.hidden
        self._cache = aligned_floats(layers * batch * max_length * width * entry)
        self._work = aligned_floats(self._work_size(batch * width, True))
        self._memory = aligned_floats(0)
        self._source, self._held = _Source(), ()
        self._present = self._lengths = np.zeros(0)

    def refresh(self) -> None:
        """See TransformerForInfer."""
        self._weights.refresh()

    def start(self, source_ids: np.ndarray, source_positions: np.ndarray, source_segments: np.ndarray,
              source_mask: np.ndarray) -> None:
        """See TransformerForInfer."""
        present = source_segments > 0
        lengths = np.count_nonzero(present, axis=1)
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        ids, positions, visible = (np.ascontiguousarray(array[present], np.int32)
                                   for array in (source_ids, source_positions, source_mask))
        network = self._weights.network
        self._memory = _at_least(self._memory, network.decoder_layers * len(ids) * 2 * network.hidden)
        self._source = _Source(len(source_ids), len(ids), int(lengths.max(initial=0)), _address(starts),
                               _address(ids), _address(positions), _address(visible),
                               _address(self._memory))
        self._held = (starts, ids, positions, visible)
        self._present, self._lengths = present, lengths
        self._work = _at_least(self._work, self._work_size(len(ids), False))
        self._check(self._library.encode(ctypes.byref(network), ctypes.byref(self._source), _address(self._work)))

    def step(self, position: int, sentences: np.ndarray, last_ids: np.ndarray, ancestors: np.ndarray) -> StepResult:
        """See Step."""
        count, width, candidates = len(sentences), self._width, self._candidates
        inputs = [np.ascontiguousarray(array, np.int32) for array in (sentences, last_ids, ancestors)]
        log_probs, ids = (np.empty((count, width, candidates), kind) for kind in (np.float32, np.int32))
        eos_log_probs = np.empty((count, width), np.float32)
        attention = np.zeros((count, width, self._source.longest), np.float32) if self._attention else None
        step = _Step(count, width, position, self._max_length, candidates, EOS_INDEX,
                     *(_address(array) for array in inputs), _address(self._cache), _address(log_probs),
                     _address(ids), _address(eos_log_probs),
                     None if attention is None else _address(attention))
        self._check(self._library.decode_step(ctypes.byref(self._weights.network), ctypes.byref(self._source),
                                              ctypes.byref(step), _address(self._work)))
        return StepResult(log_probs, ids, eos_log_probs, self._with_padding(sentences, attention))

    def _with_padding(self, sentences: np.ndarray, attention: np.ndarray | None) -> np.ndarray | None:
        """Attention to the symbols of a sentence [sentences, width, longest] -> to their places in its row."""
        if attention is None:
            return None
        present = self._present[sentences]
        padded = np.zeros((len(sentences), self._width, present.shape[1]), np.float32)
        rows, places = np.nonzero(present)
        columns = np.arange(self._source.longest) < self._lengths[sentences][:, None]
        padded[rows, :, places] = attention.transpose(0, 2, 1)[columns]
        return padded

    def _work_size(self, rows: int, step: bool) -> int:
        return self._library.work_size(ctypes.byref(self._weights.network), rows, int(step))

    def _check(self, code: int) -> None:
        if code:
            raise MassError(f"search: {_FAILURES.get(code, f'a C kernel has failed with code {code}')}")


def aligned_floats(count: int) -> np.ndarray:
    """[count] float32, not initialized, that begin on a cache line."""
    raw = np.empty(4 * count + _ALIGNMENT, np.uint8)
    first = -raw.ctypes.data % _ALIGNMENT
    return raw[first : first + 4 * count].view(np.float32)


def _at_least(array: np.ndarray, count: int) -> np.ndarray:
    """The array if it is large enough, else a new one: memory that has been used before is faster."""
    return array if array.size >= count else aligned_floats(count)


def _address(array: np.ndarray) -> int:
    return array.ctypes.data


def _load(path: str) -> ctypes.CDLL:
    library = ctypes.CDLL(path)
    network, source, step = POINTER(_Network), POINTER(_Source), POINTER(_Step)
    for name, result, arguments in (("packed_size", c_int64, (c_int64, c_int64)),
                                    ("pack_weight", None, (_Floats, c_int64, c_int64, _Floats)),
                                    ("work_size", c_int64, (network, c_int64, c_int)),
                                    ("encode", c_int, (network, source, _Floats)),
                                    ("decode_step", c_int, (network, source, step, _Floats))):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
