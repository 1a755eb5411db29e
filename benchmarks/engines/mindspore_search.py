"""Our search, and the same search over a network that decodes the whole prefix again at each step."""
import platform
import statistics

import mindspore
import numpy as np
from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype

from benchmarks.engines.search_workload import Sources
from config.config import ModelConfig
from src.inference.generation import generate_batch
from src.transformer.beam_search import beam_search
from src.transformer.decoding.interface import StepResult
from src.transformer.decoding.options import SearchOptions
from src.transformer.operators.selection import choose_operators
from src.transformer.transformer import NO_DROPOUT_SEED, Transformer, mask_segments
from src.transformer.transformer_for_infer import TransformerForInfer
from src.utils.dictionary import EOS_INDEX, PAD_INDEX


class _Engine:
    """What both have in common: the network on the CPU, with the C kernels."""

    def __init__(self, model: ModelConfig, seed: int):
        mindspore.set_context(mode=mindspore.GRAPH_MODE)
        mindspore.set_device("CPU")
        mindspore.set_seed(seed)
        choice = choose_operators("CPU", "on")
        self._transformer = Transformer(model, choice.operators).set_train(False)
        self.description = f"MindSpore {mindspore.__version__}, Python {platform.python_version()} ({choice.reason})"
        self.weights = sum(parameter.size for parameter in self._transformer.trainable_params())

    def wait(self) -> None:
        """Nothing to wait for: answers are numpy arrays."""


class CachedSearch(_Engine):
    """As eval.py answers."""

    def __init__(self, model: ModelConfig, seed: int):
        super().__init__(model, seed)
        self._made: dict[tuple, TransformerForInfer] = {}

    def step(self, sources: Sources) -> float:
        """Mean length of the answers."""
        options = _options(sources)
        key = (len(sources.ids), options)
        if key not in self._made:
            self._made.clear()  # one at a time, for the memory that it takes is measured
            self._made[key] = TransformerForInfer(self._transformer, len(sources.ids), options)
        return _mean_length(generate_batch(self._made[key], *_arrays(sources.ids)))


class PrefixSearch(_Engine):
    """As the earlier implementation did: at each step the whole prefix, padded to the longest answer, and the encoder's
    output once for each hypothesis."""

    def step(self, sources: Sources) -> float:
        """Mean length of the answers."""
        steps = _PrefixSteps(self._transformer, sources)
        return _mean_length(beam_search(steps, len(sources.ids), _options(sources)))


class _WholePrefix(nn.Cell):
    """Decoder inputs [rows, length] -> the best symbols after `position`."""

    def __init__(self, transformer: Transformer, candidates: int):
        super().__init__(auto_prefix=False)
        self.transformer, self.candidates = transformer, candidates

    def construct(self, encoder_output, source_segments, input_ids, positions, segments, position):
        network = self.transformer
        embedded = network.embedding.embed_target(input_ids, positions, NO_DROPOUT_SEED)
        states = network.decoder(embedded, segments, encoder_output, source_segments, NO_DROPOUT_SEED)
        rows = ops.arange(input_ids.shape[0]) * input_ids.shape[1] + position
        log_probs = ops.log_softmax(network.embedding.logits(ops.gather(states, rows, 0)), -1)
        best, ids = ops.topk(log_probs, self.candidates)
        return best, ids, ops.slice(log_probs, (0, EOS_INDEX), (input_ids.shape[0], 1))


class _Encode(nn.Cell):
    def __init__(self, transformer: Transformer):
        super().__init__(auto_prefix=False)
        self.transformer = transformer

    def construct(self, ids, positions, segments, mask):
        return self.transformer.encode(ids, positions, segments, mask, NO_DROPOUT_SEED), mask_segments(segments, mask)


class _PrefixSteps:
    """A Step that knows nothing of caches."""

    _compiled: dict[tuple, tuple[nn.Cell, nn.Cell]] = {}

    def __init__(self, transformer: Transformer, sources: Sources):
        self._shape = (*sources.ids.shape, sources.beam, sources.answer_length)
        if self._shape not in self._compiled:
            self._compiled[self._shape] = (_Encode(transformer), _WholePrefix(transformer, 2 * sources.beam + 4))
        encode, self._decode = self._compiled[self._shape]
        arrays = (np.repeat(array, sources.beam, axis=0) for array in _arrays(sources.ids))
        self._memory, self._segments = encode(*map(Tensor, arrays))
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
        outputs = self._decode(self._memory, self._segments, *map(Tensor, (inputs, positions, np.ones_like(inputs))),
                               Tensor(position, mstype.int32))
        best, ids, eos = (output.asnumpy() for output in outputs)
        return StepResult(best.reshape(batch, beam, -1), ids.reshape(batch, beam, -1), eos.reshape(batch, beam), None)


def _options(sources: Sources) -> SearchOptions:
    return SearchOptions(sources.answer_length, sources.beam, min_length=sources.answer_length)


def _arrays(ids: np.ndarray) -> tuple[np.ndarray, ...]:
    """Ids, positions, segments and mask."""
    ones = np.ones_like(ids)
    return ids, ones * np.arange(ids.shape[1], dtype=np.int32), ones, ones


def _mean_length(found: list) -> float:
    return statistics.mean(len(hypotheses[0].ids) for hypotheses in found)
