"""The check of a device: every graph of the program is compiled and run on it once, with a small network."""
import dataclasses
import math
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from mindspore import Tensor, nn, ops, value_and_grad
from mindspore import dtype as mstype

from config.config import Config
from src.common.errors import MassError
from src.dataset.batching.batch import Batch
from src.inference.evaluation.attention_plot import CrossAttentionWeights
from src.inference.scoring import target_log_probs
from src.runtime.device import require_compute_type, set_up_device
from src.runtime.distributed import Ranks, join_ranks
from src.training.assembly import TrainableNetwork, assemble_network
from src.training.train_step import StepSums, derive_dropout_seed, read_sums
from src.training.validation import measure_nll
from src.transformer.decoding.options import Sampling, SearchOptions
from src.transformer.operators.accelerator_attention import (
    ComposedAttention,
    CrossAttention,
    FlashAttention,
    SelfAttention,
)
from src.transformer.operators.selection import operators_of
from src.transformer.transformer_for_infer import TransformerForInfer

ROWS, LENGTH = 4, 16
SMALL = {"seq_length": LENGTH, "max_position_embeddings": LENGTH, "max_decode_length": LENGTH, "min_decode_length": 1,
         "vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64,
         "beam_width": 4, "n_best": 1}
SCALE = 1.0
DROPOUT, DRAWS = 0.1, 100  # the mean of so many draws is compared with the result without dropout
ODD_ROWS, QUERIES = 3, 5  # the bits of a dropout mask do not fill its last 16 bytes
FURTHER, UPDATE = "training: further gradients", "training: update by "


class ProgramGraph(NamedTuple):
    """A part of the program that is compiled for the device, with the function that compiles and runs it once.

    `multiplies` is false for graphs without matrix products, which are the same in each number format.
    """

    name: str
    run: Callable[[], None]
    multiplies: bool = True


class CheckedGraph(NamedTuple):
    """A graph that was checked; the error is None if the device compiled and ran it."""

    name: str
    error: Exception | None


def small_config(config: Config) -> Config:
    """Return the configuration with a network that compiles quickly; operators and number formats stay."""
    data = dataclasses.replace(config.dataset_config, max_tokens=0)
    model = dataclasses.replace(config.model_config, **SMALL)
    return dataclasses.replace(config, dataset_config=data, model_config=model)


def check_graphs(config: Config, ranks: Ranks,
                 wanted: Callable[[ProgramGraph], bool] = lambda graph: True) -> Iterator[CheckedGraph]:
    """Run each wanted graph of the program once; an error does not end the check.

    The device must be set up. Results are compared with what they must be, except in a simulation, which computes none.
    """
    for graph in program_graphs(config, ranks):
        if not wanted(graph):
            continue
        try:
            graph.run()
            yield CheckedGraph(graph.name, None)
        except (MassError, RuntimeError, TypeError, ValueError, AttributeError) as error:
            yield CheckedGraph(graph.name, error)


def check_device(config: Config) -> int:
    """Check the device that the configuration names and print a line for each graph; return the exit code.

    Raises:
        UsageError: the device has no kernels for compute_type.
        MassError: the device cannot be used.
    """
    config = small_config(config)
    set_up_device(config)
    ranks = join_ranks(config.training_config.device_target)
    require_compute_type(config)
    chosen = operators_of(config)
    print(f"{config.training_config.device_target}, products in {chosen.number_format}, {chosen.reason}", flush=True)
    failed = 0
    for graph in check_graphs(config, ranks):
        failed += graph.error is not None
        print(f"{graph.name}: {'failed: ' + str(graph.error).strip() if graph.error else 'ok'}", flush=True)
    done = "compiled, but computed nothing (simulation)" if is_simulated() else "ran"
    print(f"{failed} of the graphs failed" if failed else f"all graphs {done}", flush=True)
    return 1 if failed else 0


def program_graphs(config: Config, ranks: Ranks) -> Iterator[ProgramGraph]:
    """Yield the graphs of training, validation, scoring and search, in the order in which they must run."""
    trainable = assemble_network(config, ranks)
    yield from _training_graphs(config, trainable, ranks)
    network, source = trainable.network, _OneBatch(config)

    def check_nll() -> None:
        nll, targets = measure_nll(network, source, Ranks())
        _require(0.0 < nll / targets < 2.0 * math.log(config.model_config.vocab_size), "the negative log-likelihood")

    def check_scores() -> None:
        _require(np.all(target_log_probs(network, source).log_probs < 0.0), "the log-probability of a target")

    def check_attention() -> None:
        weights = CrossAttentionWeights(network.transformer).set_train(False)(*map(Tensor, source.batch[:7])).asnumpy()
        _require(np.allclose(weights.sum(-1), 1.0, atol=0.02), "the sum of attention weights")

    yield ProgramGraph("validation", check_nll)
    yield ProgramGraph("scoring", check_scores)
    yield ProgramGraph("attention plot", check_attention)
    if config.training_config.flash_attention:
        yield ProgramGraph("flash attention", lambda: _check_flash_attention(config))
        yield ProgramGraph("flash attention: dropout", lambda: _check_dropout_of_flash_attention(config))
    beam = SearchOptions.from_config(dataclasses.replace(config.model_config, decode_strategy="beam"))
    for name, options in (("beam search", beam), ("sampling", dataclasses.replace(beam, sampling=Sampling()))):
        infer = TransformerForInfer(network.transformer, ROWS, options)
        yield ProgramGraph(f"{name}: encoder", lambda infer=infer: infer.start(*source.batch[:4]))
        yield ProgramGraph(f"{name}: step", lambda infer=infer: _check_step(infer))


def _training_graphs(config: Config, trainable: TrainableNetwork, ranks: Ranks) -> Iterator[ProgramGraph]:
    step, batch = trainable.step, _OneBatch(config).batch
    trainable.network.set_train(True)
    seed = derive_dropout_seed(config.model_config.random_seed, 1, 0, ranks.rank)

    def all_reduce() -> None:
        read = read_sums(step.all_reduce())
        _require(0.0 < read.norm < math.inf, "the norm of the gradients")
        _require(0.0 < read.loss < 2.0 * math.log(config.model_config.vocab_size) * read.targets, "the loss")

    def apply(guarded: bool) -> None:
        sums = Tensor(np.ones(len(StepSums._fields), np.float32))
        step.apply(config.learn_rate_config.lr, sums, SCALE, guarded)
        step.clear()

    yield ProgramGraph("training: gradients", lambda: _wait(step.accumulate(batch, SCALE, seed)))
    yield ProgramGraph(FURTHER, lambda: _wait(step.accumulate(batch, SCALE, seed)))
    norm = "training: all-reduce and norm" if ranks.world_size > 1 else "training: norm"
    update = UPDATE + config.learn_rate_config.optimizer
    yield ProgramGraph(norm, all_reduce, multiplies=False)
    yield ProgramGraph(update, lambda: apply(False), multiplies=False)
    yield ProgramGraph(f"{update} (dataset_sink_mode)", lambda: apply(True), multiplies=False)


class _OneBatch:
    """Takes the place of a BatchSource; holds one batch, with one example per row."""

    def __init__(self, config: Config):
        ids = np.random.default_rng(0).integers(6, config.model_config.vocab_size, (ROWS, LENGTH)).astype(np.int32)
        positions = np.tile(np.arange(LENGTH, dtype=np.int32), (ROWS, 1))
        ones = np.ones((ROWS, LENGTH), np.int32)
        self.batch = Batch(ids, positions, ones, ones, ids, positions, ones, ids)

    def __len__(self) -> int:
        return ROWS

    def in_order(self) -> Iterator[tuple[np.ndarray, Batch]]:
        yield np.arange(ROWS), self.batch


def _random_tensors(hidden: int, lengths: tuple[int, int], rows: int = ODD_ROWS) -> list[Tensor]:
    """Return two tensors [rows * length, hidden], three weights [hidden, hidden] and three biases [hidden]."""
    generator = np.random.default_rng(0)
    shapes = [(1.0, (rows * length, hidden)) for length in lengths]
    shapes += [(hidden ** -0.5, (hidden, hidden))] * 3 + [(0.1, (hidden,))] * 3
    return [Tensor(generator.normal(0.0, scale, shape).astype(np.float32)) for scale, shape in shapes]


class _AttentionGradient(nn.Cell):
    """Returns self-attention with the given weights, and the gradient of its product with `direction` for x."""

    def __init__(self, core: ComposedAttention | FlashAttention, weights: list[Tensor]):
        super().__init__(auto_prefix=False)
        self.attention = SelfAttention(core)
        self.weights = weights
        self.gradient = value_and_grad(self.along, 0, None, has_aux=True)

    def along(self, x: Tensor, segments: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
        context = self.attention(x, *self.weights, segments, segments, None).astype(mstype.float32)
        return ops.sum(context * direction), context

    def construct(self, x: Tensor, segments: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
        (_, context), gradient = self.gradient(x, segments, direction)
        return context, gradient


def _check_flash_attention(config: Config) -> None:
    """Compare flash attention without dropout, and its gradient, with the composed one: two sentences in each row."""
    model, compute_type = config.model_config, getattr(mstype, operators_of(config).number_format.compute_type)
    x, direction, *weights = _random_tensors(model.hidden_size, (LENGTH, LENGTH), ROWS)
    segments = Tensor(np.tile(np.repeat(np.array([1, 2], np.int32), LENGTH // 2), (ROWS, 1)))
    found = []
    for form in (ComposedAttention, FlashAttention):
        core = form(model.num_attention_heads, 0.0, True, compute_type)
        results = _AttentionGradient(core, weights)(x, segments, direction)
        found.append([result.asnumpy() for result in results])
    for name, expected, got in zip(("context", "gradient"), *found, strict=True):
        _require(np.allclose(got, expected, atol=0.03 * np.abs(expected).max()), f"the {name} of flash attention")


def _check_dropout_of_flash_attention(config: Config) -> None:
    """Compare the mean of many draws with what is computed without dropout, in the shapes of a cross-attention."""
    model, compute_type = config.model_config, getattr(mstype, operators_of(config).number_format.compute_type)
    x, states, *weights = _random_tensors(model.hidden_size, (QUERIES, LENGTH))
    segments = [Tensor(np.ones((ODD_ROWS, length), np.int32)) for length in (QUERIES, LENGTH)]
    whole, dropping = (CrossAttention(form(model.num_attention_heads, dropout, False, compute_type))
                       for form, dropout in ((ComposedAttention, 0.0), (FlashAttention, DROPOUT)))
    expected = whole(x, states, *weights, *segments, None).astype(mstype.float32).asnumpy()
    dropping.set_train(True)
    drawn = np.stack([dropping(x, states, *weights, *segments, None).astype(mstype.float32).asnumpy()
                      for _ in range(DRAWS)])
    largest = np.abs(expected).max()
    _require(drawn.std(0).max() > 0.03 * largest, "the dropout of flash attention, which drops nothing,")
    _require(np.allclose(drawn.mean(0), expected, atol=0.3 * largest), "the dropout of flash attention")


def _check_step(infer: TransformerForInfer) -> None:
    width = infer.options.width
    ancestors = np.tile(np.arange(width, dtype=np.int32)[None, :, None], (ROWS, 1, 1))
    result = infer.step(0, np.arange(ROWS), np.ones((ROWS, width), np.int32), ancestors)
    _require(np.all(result.log_probs <= 0.0), "the log-probability of a candidate")
    if infer.options.sampling is None:  # samples have no order
        _require(np.all(np.diff(result.log_probs, axis=-1) <= 0.0), "the order of the candidates")


def is_simulated() -> bool:
    """Return whether MindSpore compiles for a device that is not there, and computes nothing."""
    return bool(os.environ.get("MS_SIMULATION_LEVEL") or os.environ.get("MS_KERNEL_LAUNCH_SKIP"))


def _wait(results: tuple[Tensor, ...]) -> None:
    for result in results:
        result.asnumpy()


def _require(holds: bool, what: str) -> None:
    """Raise a MassError for a wrong result, unless the device is only simulated."""
    if not (holds or is_simulated()):
        raise MassError(f"{what} is wrong: the device compiles the graph but does not compute it correctly")
