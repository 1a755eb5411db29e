"""The pieces of a training step: accumulated gradients, clipping, scaling, and the optimizers by their formulas."""
import dataclasses
import functools
import math

import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn, ops

from config.config import Config, LearnRateConfig
from src.dataset.batching.batch import Batch
from src.runtime.device import set_up_device
from src.runtime.distributed import Ranks
from src.training.optimizer import make_optimizer
from src.training.train_step import TrainStep, derive_dropout_seed, read_sums
from src.transformer.operators.mindspore_operators import MindSporeOperators
from src.transformer.transformer_for_train import TransformerForTrain
from tests.helpers.tiny_network import IMPLEMENTATIONS, MODEL, fine_tuning_batch, named_arrays, operators, scramble

RATE = 0.125
SEED = derive_dropout_seed(1, 2, 3, 4)


class GivenGradients(nn.Cell):
    """A network of three parameters whose loss has the batch itself as its gradient."""

    def __init__(self, seed: int = 0):
        super().__init__()
        generator = np.random.default_rng(seed)
        self.weight = Parameter(Tensor(generator.normal(size=(4, 3)).astype(np.float32)))
        self.gamma = Parameter(Tensor(generator.normal(size=5).astype(np.float32)))
        self.bias = Parameter(Tensor(np.zeros(6, np.float32)))

    def construct(self, weight, gamma, bias, dropout_seed):
        loss = ops.sum(self.weight * weight) + ops.sum(self.gamma * gamma) + ops.sum(self.bias * bias)
        return loss, 2.0 * loss


class GivenBatch(list):
    """Gradients in place of a batch, with the counts of a batch."""

    def __init__(self, gradients: list[np.ndarray], target_tokens: int):
        super().__init__(gradients)
        self.target_tokens, self.tokens = target_tokens, 3 * target_tokens


def given_gradients(seed: int, size: float = 1.0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [(size * generator.normal(size=shape)).astype(np.float32) for shape in ((4, 3), 5, 6)]


def norm_of(gradients: list[np.ndarray]) -> float:
    return math.sqrt(sum(np.sum(gradient.astype(np.float64) ** 2) for gradient in gradients))


def values(network: nn.Cell) -> list[np.ndarray]:
    return [parameter.asnumpy().astype(np.float64) for parameter in network.trainable_params()]


@functools.cache
def compiled_step(optimizer: str, clip_norm: float,
                  implementation: str) -> tuple[TrainStep, list[tuple[Parameter, np.ndarray]]]:
    """Return a training step, and the initial values of its weights and its optimizer state."""
    set_up_device(Config())
    network = GivenGradients()
    of_step = operators(implementation)
    cell = make_optimizer(LearnRateConfig(optimizer=optimizer), network.trainable_params(), of_step)
    state = {id(parameter): parameter for parameter in (*network.get_parameters(), *cell.get_parameters())}
    step = TrainStep(network, cell, clip_norm, Ranks(), of_step)
    return step, [(entry, entry.asnumpy().copy()) for entry in state.values()]


def new_step(optimizer: str, clip_norm: float = 0.0, implementation: str = "mindspore") -> TrainStep:
    """Return a training step with its initial values; it is compiled only once for all tests."""
    step, start = compiled_step(optimizer, clip_norm, implementation)
    for parameter, value in start:
        parameter.set_data(Tensor(value))
    step.clear()
    return step


def update(step: TrainStep, batches: list[list[np.ndarray]], targets: int = 1, loss_scale: float = 1.0) -> None:
    """Run a step as the training loop does, with `targets` target tokens in all batches together."""
    for number, batch in enumerate(batches):
        accumulate(step, batch, loss_scale, targets if number == 0 else 0)
    step.apply(RATE, step.all_reduce(), loss_scale)
    step.clear()


def accumulate(step: TrainStep, gradients: list[np.ndarray], loss_scale: float, targets: int = 1) -> list[float]:
    """Accumulate given gradients; return loss and negative log-likelihood."""
    return sums(step.accumulate(GivenBatch(gradients, targets), loss_scale, SEED))


def norm(step: TrainStep) -> float:
    return read_sums(step.all_reduce()).norm


# -- accumulation, with the whole network ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network_step():
    """A training step of a network of one layer, without dropout; it is compiled for batches of one shape only."""
    set_up_device(Config())
    network = TransformerForTrain(dataclasses.replace(MODEL, num_hidden_layers=1), MindSporeOperators())
    scramble(network)
    network.set_train(False)
    optimizer = make_optimizer(LearnRateConfig(optimizer="momentum"), network.trainable_params(), MindSporeOperators())
    return TrainStep(network, optimizer, 0.0, Ranks(), MindSporeOperators())


def sums(results: tuple[Tensor, Tensor]) -> list[float]:
    return [float(value.asnumpy()) for value in results]


def rows_of(batch: Batch, rows: list[int]) -> Batch:
    """Return the batch with nothing but padding outside of these rows."""
    kept = np.isin(np.arange(len(batch.labels)), rows)[:, None]
    return Batch(*(np.where(kept, array, 0).astype(array.dtype) for array in batch))


def accumulated(step: TrainStep) -> dict[str, np.ndarray]:
    """Return the content of the buffers by name."""
    return {buffer.name: buffer.asnumpy().copy() for buffer in step.buffers}


def test_gradients_of_two_batches_add_up_to_those_of_both_in_one(network_step):
    whole = fine_tuning_batch(1)
    halves = [rows_of(whole, rows) for rows in ([0, 1], [2, 3])]
    separately = []
    for half in halves:
        separately.append((sums(network_step.accumulate(half, 1.0, SEED)), accumulated(network_step)))
        network_step.clear()
    for half in halves:
        network_step.accumulate(half, 1.0, SEED)
    both, totals = accumulated(network_step), read_sums(network_step.all_reduce())
    np.testing.assert_allclose(totals.norm, norm_of(list(both.values())), rtol=1e-5)
    np.testing.assert_allclose([totals.loss, totals.nll], np.sum([pair for pair, _ in separately], axis=0), rtol=1e-5)
    assert (totals.targets, totals.tokens, totals.stop) == (whole.target_tokens, whole.tokens, 0)
    network_step.clear()
    whole_sums = sums(network_step.accumulate(whole, 1.0, SEED))
    at_once = accumulated(network_step)
    network_step.clear()
    np.testing.assert_allclose(np.sum([half_sums for half_sums, _ in separately], axis=0), whole_sums, rtol=1e-5)
    assert len(both) == len(named_arrays(network_step.network))
    for name, gradient in both.items():
        size = 1e-5 * (1.0 + np.abs(gradient).max())
        np.testing.assert_allclose(gradient, at_once[name], atol=size, err_msg=name)
        np.testing.assert_allclose(gradient, sum(half[name] for _, half in separately), atol=size, err_msg=name)
        # Each batch reaches each buffer; only a bias of the keys has no gradient.
        for _, half in separately:
            assert (np.abs(half[name]).max() > 1e-3) != name.endswith("key.bias"), name


def test_loss_scale_multiplies_gradients_only(network_step):
    batch = fine_tuning_batch(3)
    plain_sums, plain = sums(network_step.accumulate(batch, 1.0, SEED)), accumulated(network_step)
    network_step.clear()
    scaled_sums, scaled = sums(network_step.accumulate(batch, 1024.0, SEED)), accumulated(network_step)
    network_step.clear()
    assert scaled_sums == plain_sums
    for name, gradient in plain.items():
        np.testing.assert_allclose(scaled[name], 1024.0 * gradient, rtol=1e-5, atol=1e-3, err_msg=name)


# -- norm, clipping, clearing, with given gradients ------------------------------------------------------------------


def test_accumulate_returns_loss_and_likelihood():
    step, gradients = new_step("momentum"), given_gradients(1)
    loss, nll = accumulate(step, gradients, 16.0)
    expected = sum(np.sum(value * gradient) for value, gradient in zip(values(step.network), gradients, strict=True))
    assert loss == pytest.approx(expected, rel=1e-5) and nll == pytest.approx(2.0 * expected, rel=1e-5)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_the_norm_is_that_of_the_accumulated_gradients(implementation):
    step = new_step("adam", implementation=implementation)
    first, second = given_gradients(2), given_gradients(3)
    accumulate(step, first, 8.0)
    assert norm(step) == pytest.approx(8.0 * norm_of(first), rel=1e-6)
    accumulate(step, second, 8.0)
    assert norm(step) == pytest.approx(8.0 * norm_of([a + b for a, b in zip(first, second, strict=True)]), rel=1e-6)


def test_requests_to_stop_are_counted():
    step = new_step("momentum")
    for stop in (False, True, True):
        step.accumulate(GivenBatch(given_gradients(1), 1), 1.0, SEED, stop)
    assert read_sums(step.all_reduce()).stop == 2


@pytest.mark.parametrize("clip_norm", [0.0, 0.5, 1e3])
def test_gradients_are_clipped_by_their_global_norm(clip_norm):
    """Momentum's first step is plain descent: it shows the gradients that were applied."""
    step, batches, divisor = new_step("momentum", clip_norm), [given_gradients(4), given_gradients(5)], 7
    before = values(step.network)
    update(step, batches, divisor, loss_scale=256.0)
    mean = [(a.astype(np.float64) + b) / divisor for a, b in zip(*batches, strict=True)]
    shrink = min(1.0, clip_norm / norm_of(mean)) if clip_norm else 1.0
    assert (shrink < 1.0) == (clip_norm == 0.5)
    for old, new, gradient in zip(before, values(step.network), mean, strict=True):
        np.testing.assert_allclose(new, old - RATE * shrink * gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_clear_discards_accumulated_gradients(bad):
    step, gradients = new_step("momentum"), given_gradients(6)
    before = values(step.network)
    broken = given_gradients(7)
    broken[1][2] = bad
    accumulate(step, broken, 1.0)
    assert not np.isfinite(norm(step))
    step.clear()
    update(step, [gradients])
    for old, new, gradient in zip(before, values(step.network), gradients, strict=True):
        np.testing.assert_allclose(new, old - RATE * gradient, rtol=1e-5, atol=1e-6)


def test_gradients_of_zero_change_nothing_though_clipping_divides_by_the_norm():
    step = new_step("momentum", clip_norm=0.5)
    before = values(step.network)
    update(step, [[0.0 * gradient for gradient in given_gradients(8)]])
    for old, new in zip(before, values(step.network), strict=True):
        np.testing.assert_array_equal(new, old)


# -- optimizers ------------------------------------------------------------------------------------------------------


def adam():
    """rate * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + 1e-8): the order of Kingma and Ba (2015), section 2.

    `nn.Adam` computes this form, in which epsilon stands beside the uncorrected sqrt(v), though its documentation
    shows the other, sqrt(v / (1 - beta2^t)) + epsilon.
    """
    m, v, t = 0.0, 0.0, 0

    def step(value, gradient):
        nonlocal m, v, t
        t += 1
        m, v = 0.9 * m + 0.1 * gradient, 0.98 * v + 0.02 * gradient**2
        return value - RATE * math.sqrt(1 - 0.98**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-8)

    return step


def lamb():
    """You et al. (2020, algorithm 2): Adam's step and decay, rescaled to the parameter's norm."""
    m, v, t = 0.0, 0.0, 0

    def step(value, gradient):
        nonlocal m, v, t
        t += 1
        m, v = 0.9 * m + 0.1 * gradient, 0.98 * v + 0.02 * gradient**2
        move = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.98**t)) + 1e-6)
        if value.ndim > 1:
            move = move + 0.01 * value
        lengths = np.linalg.norm(value), np.linalg.norm(move)
        return value - RATE * (lengths[0] / lengths[1] if min(lengths) > 0 else 1.0) * move

    return step


def momentum():
    """The moving sum of gradients: m = 0.9 m + g."""
    m = 0.0

    def step(value, gradient):
        nonlocal m
        m = 0.9 * m + gradient
        return value - RATE * m

    return step


FORMULAS = {"adam": adam, "lamb": lamb, "momentum": momentum}


@pytest.mark.parametrize("size", [1.0, 1e-6])  # beside the small one the epsilons count
@pytest.mark.parametrize(("optimizer", "implementation"), [*((name, "mindspore") for name in FORMULAS), ("adam", "c")])
def test_optimizer_is_its_formula(optimizer, implementation, size):
    step = new_step(optimizer, implementation=implementation)
    expected = values(step.network)
    formulas = [FORMULAS[optimizer]() for _ in expected]
    for seed in (10, 11, 12):
        gradients = given_gradients(seed, size)
        update(step, [gradients])
        expected = [formula(value, gradient.astype(np.float64))
                    for formula, value, gradient in zip(formulas, expected, gradients, strict=True)]
        for found, wanted in zip(values(step.network), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("optimizer", FORMULAS)
def test_loss_scale_does_not_change_the_update(optimizer):
    results = []
    for loss_scale in (1.0, 2.0**16, 2.0**-10):
        step = new_step(optimizer)
        for seed in (13, 14):
            update(step, [given_gradients(seed)], 3, loss_scale)
        results.append(values(step.network))
    for other in results[1:]:
        for found, wanted in zip(other, results[0], strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)


# -- dropout ---------------------------------------------------------------------------------------------------------


def test_each_batch_of_each_step_and_rank_has_a_dropout_seed_of_its_own():
    grid = [(seed, step, number, rank) for seed in (1, 2) for step in (1, 2, 70000) for number in (0, 1)
            for rank in (0, 1)]
    seeds = {derive_dropout_seed(*place).tobytes() for place in grid}
    assert len(seeds) == len(grid)
    assert derive_dropout_seed(*grid[0]).tobytes() in seeds and derive_dropout_seed(*grid[0]).dtype == np.int32
