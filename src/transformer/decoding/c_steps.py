"""Cached decoding steps in C (src/transformer/kernels/encode.c and decode_step.c), for the CPU."""
import ctypes
from ctypes import POINTER, Structure, c_int, c_int64

import numpy as np

from src.common.errors import MassError
from src.common.native_library import check_struct_sizes
from src.transformer.decoding import packed_weights
from src.transformer.decoding.interface import NOT_FINITE, CachedSteps, StepResult, StepSizes
from src.transformer.decoding.number_formats import step_formats
from src.transformer.decoding.packed_weights import Floats, Ints, Longs, Network, PackedWeights, address, aligned_floats
from src.transformer.transformer import Transformer
from src.utils.dictionary import EOS_INDEX

_FAILURES = {1: "there is not enough memory", 2: "a token id or position is out of range (see above)",
             4: NOT_FINITE}


# The structures Source and Step of network.h; `check_struct_sizes` compares their sizes with those in C.
class _Source(Structure):
    _fields_ = [("batch", c_int64), ("tokens", c_int64), ("longest", c_int64),
                *((name, Longs) for name in ("starts", "unmasked", "places")),
                *((name, Ints) for name in ("ids", "positions", "mask")), ("keys_values", Floats)]


class _Step(Structure):
    _fields_ = [*((name, c_int64) for name in ("count", "width", "position", "max_length", "candidates", "eos")),
                *((name, Ints) for name in ("sentences", "last_ids", "ancestors")), ("cache", Floats),
                ("log_probs", Floats), ("ids", Ints), ("eos_log_probs", Floats), ("attention", Floats)]


class CSteps(CachedSteps):
    """Cached steps in C. Nothing is compiled for shapes, and neither padding nor finished sentences are computed.

    Args:
        library: path of the compiled C code; see `build_kernels`.
        transformer: the network, whose weights are copied.
        sizes: see StepSizes.
        number_format: of the matrix products, one of NUMBER_FORMATS; see `step_formats`.

    Raises:
        MassError: the library was compiled from other sources than this program expects.
    """

    def __init__(self, library: str, transformer: Transformer, sizes: StepSizes,
                 number_format: str = "float32"):
        self._library, self._sizes, self.number_format = load_library(library), sizes, number_format
        vocabulary = transformer.embedding.table.shape[0]
        early = bool(self._library.chooses_early(sizes.candidates, vocabulary))
        self._weights = PackedWeights(self._library, transformer, step_formats(number_format, early, self._library))
        # The system provides memory when it is first written to, and most hypotheses are shorter than max_length.
        network = self._weights.network
        entries = network.decoder_layers * sizes.batch * sizes.max_length * sizes.width
        try:
            self._cache = aligned_floats(entries * 2 * network.hidden)
            self._work = aligned_floats(self._work_size(sizes.batch * sizes.width, True))
        except MemoryError as error:
            raise MassError(f"there is not enough memory for the search: the keys and values of {sizes.batch:,} "
                            f"sentences with {sizes.width:,} hypotheses of {sizes.max_length:,} tokens take "
                            f"{entries * 8 * network.hidden / 2**30:,.0f} GiB; lower dataset_config.eval_batch_size, "
                            f"model_config.beam_width or model_config.max_decode_length") from error
        self._keys_values = aligned_floats(0)
        self._source, self._held = _Source(), ()
        self._present = self._lengths = np.zeros(0)

    def refresh(self) -> None:
        """See CachedSteps."""
        self._weights.refresh()

    def start(self, source_ids: np.ndarray, source_positions: np.ndarray, source_segments: np.ndarray,
              source_mask: np.ndarray) -> None:
        """See CachedSteps."""
        present = source_segments > 0
        lengths = np.count_nonzero(present, axis=1)
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        ids, positions, mask = (np.ascontiguousarray(array[present], np.int32)
                                for array in (source_ids, source_positions, source_mask))
        unmasked = np.count_nonzero(source_mask * present, axis=1).astype(np.int64)
        columns = self._library.key_columns()
        places = np.concatenate([[0], np.cumsum(-(-unmasked // columns) * columns)]).astype(np.int64)
        network = self._weights.network
        self._held = (starts, unmasked, places, ids, positions, mask)  # what the structure points to
        self._source = _Source(len(source_ids), len(ids), int(lengths.max(initial=0)), *map(address, self._held), None)
        self._keys_values = _at_least(self._keys_values, self._library.keys_values_size(
            ctypes.byref(network), ctypes.byref(self._source)))
        self._source.keys_values = address(self._keys_values)
        self._present, self._lengths = present, lengths
        self._work = _at_least(self._work, self._work_size(len(ids), False))
        self._check(self._library.encode(ctypes.byref(network), ctypes.byref(self._source), address(self._work)))

    def step(self, position: int, sentences: np.ndarray, last_ids: np.ndarray, ancestors: np.ndarray) -> StepResult:
        """See StepFunction."""
        count, width, candidates = len(sentences), self._sizes.width, self._sizes.candidates
        inputs = [np.ascontiguousarray(array, np.int32) for array in (sentences, last_ids, ancestors)]
        log_probs, ids = (np.empty((count, width, candidates), kind) for kind in (np.float32, np.int32))
        eos_log_probs = np.empty((count, width), np.float32)
        attention = np.zeros((count, width, self._source.longest), np.float32) if self._sizes.attention else None
        step = _Step(count, width, position, self._sizes.max_length, candidates, EOS_INDEX,
                     *(address(array) for array in inputs), address(self._cache), address(log_probs), address(ids),
                     address(eos_log_probs), None if attention is None else address(attention))
        self._check(self._library.decode_step(ctypes.byref(self._weights.network), ctypes.byref(self._source),
                                              ctypes.byref(step), address(self._work)))
        return StepResult(log_probs, ids, eos_log_probs, self._padded(sentences, attention))

    def _padded(self, sentences: np.ndarray, attention: np.ndarray | None) -> np.ndarray | None:
        """Insert columns of 0 for padding: [sentences, width, longest] -> [sentences, width, source_len]."""
        if attention is None:
            return None
        present = self._present[sentences]
        padded = np.zeros((len(sentences), self._sizes.width, present.shape[1]), np.float32)
        rows, places = np.nonzero(present)
        columns = np.arange(self._source.longest) < self._lengths[sentences][:, None]
        padded[rows, :, places] = attention.transpose(0, 2, 1)[columns]
        return padded

    def _work_size(self, rows: int, step: bool) -> int:
        return self._library.work_size(ctypes.byref(self._weights.network), rows, int(step))

    def _check(self, code: int) -> None:
        if code:
            raise MassError(f"search: {_FAILURES.get(code, f'a C function failed with code {code}')}")


def _at_least(array: np.ndarray, count: int) -> np.ndarray:
    """Return the array if it is large enough, else a new one: memory that has been used before is faster."""
    return array if array.size >= count else aligned_floats(count)


def load_library(path: str) -> ctypes.CDLL:
    """Return the compiled C code with the signatures of its functions.

    Raises:
        MassError: it was compiled from other sources than this program expects.
    """
    library = ctypes.CDLL(path)
    check_struct_sizes(library, packed_weights.__name__)
    check_struct_sizes(library, __name__)
    network, source, step = POINTER(Network), POINTER(_Source), POINTER(_Step)
    for name, result, arguments in (("packed_size", c_int64, (c_int64, c_int64, c_int64)),
                                    ("pack_weight", None, (c_int64, Floats, c_int64, c_int64, *[Floats] * 3)),
                                    ("has_bfloat16_products", c_int, ()), ("chooses_early", c_int, (c_int64, c_int64)),
                                    ("packed_product", c_int, (POINTER(packed_weights.Dense), Floats, c_int64, Floats)),
                                    ("keys_values_size", c_int64, (network, source)), ("key_columns", c_int64, ()),
                                    ("work_size", c_int64, (network, c_int64, c_int)),
                                    ("encode", c_int, (network, source, Floats)),
                                    ("decode_step", c_int, (network, source, step, Floats))):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
