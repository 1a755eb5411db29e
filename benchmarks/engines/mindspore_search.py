"""This search, and the same search without cache, which decodes the whole prefix again at each step."""
import dataclasses
import platform
import statistics

import mindspore
import numpy as np
from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype

from benchmarks.engines.search_workload import SearchSettings, Sources
from src.checkpoints.load import network_arrays
from src.inference.generation import generate_batch
from src.transformer.beam_search import beam_search
from src.transformer.decoding.interface import StepResult
from src.transformer.decoding.options import SearchOptions
from src.transformer.operators.selection import choose_operators
from src.transformer.transformer import Transformer, mask_segments
from src.transformer.transformer_for_infer import TransformerForInfer
from src.utils.dictionary import EOS_INDEX, PAD_INDEX


class _Engine:
    """The network on the CPU with the C kernels, which both searches use."""

    def __init__(self, settings: SearchSettings, seed: int):
        mindspore.set_context(mode=mindspore.GRAPH_MODE)
        mindspore.set_device("CPU")
        mindspore.set_seed(seed)
        choice = choose_operators("CPU", "on")
        model = dataclasses.replace(settings.model, decode_compute_type=settings.number_format)
        self._transformer = Transformer(model, choice.operators).set_train(False)
        self.description = f"MindSpore {mindspore.__version__}, Python {platform.python_version()} ({choice.reason})"
        self.weights = sum(parameter.size for parameter in self._transformer.trainable_params())

    def wait(self) -> None:
        """Return at once: predictions are numpy arrays, which are complete."""


class CachedSearch(_Engine):
    """The search as eval.py runs it."""

    def __init__(self, settings: SearchSettings, seed: int):
        super().__init__(settings, seed)
        self._infer: dict[tuple, TransformerForInfer] = {}

    def step(self, sources: Sources) -> float:
        """Return the mean length of the predictions."""
        options = _options(sources)
        key = (len(sources.ids), options)
        if key not in self._infer:
            self._infer.clear()  # keeps one only, because memory is measured
            self._infer[key] = TransformerForInfer(self._transformer, len(sources.ids), options)
        return _mean_length(generate_batch(self._infer[key], *_arrays(sources.ids)))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the weights by name."""
        return network_arrays(self._transformer)

    def positions(self) -> np.ndarray:
        """Return the encodings of all positions."""
        return self._transformer.embedding.positions.encodings.asnumpy()


class PrefixSearch(_Engine):
    """The search as the original implementation of MASS ran it.

    Each step decodes the whole prefix, padded to the maximum length, and the encoder output is repeated for each
    hypothesis.
    """

    def step(self, sources: Sources) -> float:
        """Return the mean length of the predictions."""
        steps = _PrefixSteps(self._transformer, sources)
        return _mean_length(beam_search(steps, len(sources.ids), _options(sources)))


class _WholePrefix(nn.Cell):
    """Decoder inputs [rows, length] -> log-probabilities and ids of the most probable tokens after `position`."""

    def __init__(self, transformer: Transformer, candidates: int):
        super().__init__(auto_prefix=False)
        self.transformer, self.candidates = transformer, candidates

    def construct(self, encoder_output, source_segments, input_ids, positions, segments, position):
        network, dropout_seed = self.transformer, self.transformer.no_dropout_seed
        embedded = network.embedding.embed_target(input_ids, positions, dropout_seed)
        states = network.decoder(embedded, segments, encoder_output, source_segments, dropout_seed)
        rows = ops.arange(input_ids.shape[0]) * input_ids.shape[1] + position
        log_probs = ops.log_softmax(network.embedding.logits(ops.gather(states, rows, 0)), -1)
        best, ids = ops.topk(log_probs, self.candidates)
        return best, ids, ops.Slice()(log_probs, (0, EOS_INDEX), (input_ids.shape[0], 1))


class _Encode(nn.Cell):
    def __init__(self, transformer: Transformer):
        super().__init__(auto_prefix=False)
        self.transformer = transformer

    def construct(self, ids, positions, segments, mask):
        states = self.transformer.encode(ids, positions, segments, mask, self.transformer.no_dropout_seed)
        return states, mask_segments(segments, mask)


class _PrefixSteps:
    """A StepFunction without cache."""

    _compiled: dict[tuple, tuple[nn.Cell, nn.Cell]] = {}

    def __init__(self, transformer: Transformer, sources: Sources):
        self._shape = (*sources.ids.shape, sources.beam, sources.prediction_length)
        if self._shape not in self._compiled:
            self._compiled[self._shape] = (_Encode(transformer), _WholePrefix(transformer, 2 * sources.beam + 4))
        encode, self._decode = self._compiled[self._shape]
        arrays = (np.repeat(array, sources.beam, axis=0) for array in _arrays(sources.ids))
        self._encoder_output, self._segments = encode(*map(Tensor, arrays))
        self._given: list[np.ndarray] = []

    def __call__(self, position: int, sentences: np.ndarray, last_ids: np.ndarray,
                 ancestors: np.ndarray) -> StepResult:
        batch, _, beam, length = self._shape
        self._given.append(last_ids)
        inputs = np.full((batch, beam, length), PAD_INDEX, np.int32)
        rows = np.arange(batch)[:, None]
        for i, given in enumerate(self._given):
            inputs[:, :, i] = given[rows, ancestors[:, :, i]]
        inputs = inputs.reshape(-1, length)
        positions = np.broadcast_to(np.arange(length, dtype=np.int32), inputs.shape)
        arrays = (inputs, positions, np.ones_like(inputs))
        outputs = self._decode(self._encoder_output, self._segments, *map(Tensor, arrays),
                               Tensor(position, mstype.int32))
        best, ids, eos = (output.asnumpy() for output in outputs)
        return StepResult(best.reshape(batch, beam, -1), ids.reshape(batch, beam, -1), eos.reshape(batch, beam), None)


def _options(sources: Sources) -> SearchOptions:
    return SearchOptions(sources.prediction_length, sources.beam, min_length=sources.prediction_length)


def _arrays(ids: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return ids, positions, segments and mask."""
    ones = np.ones_like(ids)
    return ids, ones * np.arange(ids.shape[1], dtype=np.int32), ones, ones


def _mean_length(found: list) -> float:
    return statistics.mean(len(hypotheses[0].ids) for hypotheses in found)
