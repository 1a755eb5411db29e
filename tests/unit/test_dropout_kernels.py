"""Dropout of the C kernels: rate, scale, independence, and the same mask in the forward and the backward pass."""
import math
from collections.abc import Callable

import numpy as np
import pytest
from mindspore import Tensor, mutable, nn
from mindspore import dtype as mstype

from config.config import Config
from src.runtime.device import set_up_device
from src.transformer.operators.c_operators import COperators
from tests.helpers.gradients import WithGradients
from tests.helpers.tiny_network import operators

ROWS, COLUMNS = 150, 70  # more columns than one thread sums at a time, and no multiple of 4
HEADS, QUERY_LEN, KEY_LEN = 2, 25, 33
ONES, ZEROS = np.ones((ROWS, COLUMNS), np.float32), np.zeros((ROWS, COLUMNS), np.float32)
BIAS = np.zeros(COLUMNS, np.float32)
SEED = (7, -3)
DEVIATIONS = 5.0  # standard deviations that a mean may be off: one sample in 1.7 million is further away


@pytest.fixture(scope="module", autouse=True)
def device():
    set_up_device(Config())


class Dropped:
    """An operator whose dropout factors, 0 or 1 / (1 - probability), can be read from its result.

    Args:
        cell: the operator.
        inputs: all inputs but the seed.
        factors: returns the factors [rows, columns] of a result.
    """

    def __init__(self, cell: nn.Cell, inputs: list[np.ndarray], factors: Callable[[np.ndarray], np.ndarray]):
        self.cell, self.inputs = cell.set_train(True), list(map(Tensor, inputs))
        self._factors = factors

    def result(self, dropout_seed: tuple[int, int] = SEED) -> np.ndarray:
        return self.cell(*self.inputs, Tensor(dropout_seed, mstype.int32)).asnumpy()

    def factors(self, dropout_seed: tuple[int, int] = SEED) -> np.ndarray:
        return self._factors(self.result(dropout_seed))

    def gradients(self, output_gradient: np.ndarray, places: tuple[int, ...]) -> list[np.ndarray]:
        inputs = mutable((*self.inputs, Tensor(SEED, mstype.int32)))
        _, gradients = WithGradients(self.cell).set_train(True)(inputs, Tensor(output_gradient))
        return [gradients[place].asnumpy() for place in places]


def residual(factory: COperators, probability: float) -> Dropped:
    return Dropped(factory.residual(probability), [ZEROS, ONES, BIAS], lambda out: out)


def relu(factory: COperators, probability: float) -> Dropped:
    return Dropped(factory.activation("relu", probability), [ONES, BIAS], lambda out: out)


def embedding(factory: COperators, probability: float) -> Dropped:
    ids, positions = np.arange(ROWS, dtype=np.int32), np.zeros(ROWS, np.int32)
    return Dropped(factory.embedding(1.0, probability), [ONES, ids, positions, ZEROS[:1]], lambda out: out)


def attention(factory: COperators, probability: float) -> Dropped:
    """All scores are equal and the value of key k is the k-th unit vector: element k of a row is factor k / KEY_LEN."""
    batch, hidden = 6, HEADS * KEY_LEN
    values = np.tile(np.eye(KEY_LEN, dtype=np.float32), (batch, HEADS))
    queries, keys = np.zeros((batch * QUERY_LEN, hidden), np.float32), np.zeros((batch * KEY_LEN, hidden), np.float32)
    segments = [np.ones((batch, length), np.int32) for length in (QUERY_LEN, KEY_LEN)]
    biases = [np.zeros(hidden, np.float32)] * 3
    return Dropped(factory.attention(HEADS, probability, False), [queries, keys, values, *biases, *segments],
                   lambda out: out * KEY_LEN)


OPERATORS = {"residual": residual, "relu": relu, "embedding": embedding, "attention": attention}


@pytest.fixture(params=OPERATORS)
def make(request) -> Callable[[COperators, float], Dropped]:
    return OPERATORS[request.param]


@pytest.mark.parametrize("probability", [0.1, 0.5])
def test_rate_and_scale(make, probability):
    factors = make(operators("c"), probability).factors()
    kept = factors != 0.0
    np.testing.assert_allclose(factors[kept], 1.0 / (1.0 - probability), rtol=1e-4)  # rates are multiples of 2^-16
    deviation = math.sqrt(probability * (1.0 - probability))
    assert abs(kept.mean() - (1.0 - probability)) < DEVIATIONS * deviation / math.sqrt(kept.size)
    for axis in (0, 1):  # no row and no column is an exception
        rates = kept.mean(axis=axis)
        assert np.abs(rates - (1.0 - probability)).max() < (DEVIATIONS + 1) * deviation / math.sqrt(kept.shape[axis])
        assert rates.std() > 0.5 * deviation / math.sqrt(kept.shape[axis])  # and they are not all equal


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return the correlation of two masks, in standard deviations of the correlation of independent masks."""
    return abs(np.corrcoef(one.ravel() != 0, other.ravel() != 0)[0, 1]) * math.sqrt(one.size)


def test_entries_are_independent(make):
    factors = make(operators("c"), 0.5).factors()
    for rows, columns in ((0, 1), (0, 2), (0, 3), (0, 4), (1, 0), (1, 1), (2, 0), (QUERY_LEN, 0)):
        later = factors[rows:, columns:]
        assert correlation(factors[: later.shape[0], : later.shape[1]], later) < DEVIATIONS, (rows, columns)


def test_every_seed_and_every_site_has_its_own_mask(make):
    factory = operators("c")
    here, there = make(factory, 0.5), make(factory, 0.5)
    factors = here.factors()
    np.testing.assert_array_equal(here.factors(), factors)
    np.testing.assert_array_equal(make(operators("c"), 0.5).factors(), factors)  # the same site of another network
    for seed in ((7, -2), (8, -3), (-3, 7), (0, 0), (-(2**31), 2**31 - 1)):
        assert correlation(here.factors(seed), factors) < DEVIATIONS, seed
    assert correlation(there.factors(), factors) < DEVIATIONS


def test_no_dropout_in_evaluation_and_at_probability_zero(make):
    evaluated, without = make(operators("c"), 0.5), make(operators("c"), 0.0)
    evaluated.cell.set_train(False)
    np.testing.assert_array_equal(without.result(), evaluated.result())
    if make is not attention:
        np.testing.assert_array_equal(without.factors(), np.ones_like(without.factors()))
    else:
        np.testing.assert_allclose(without.factors(), 1.0, rtol=1e-5)


# -- the backward pass drops what the forward pass has dropped ---------------------------------------------------------


def random_gradient(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("name", ["residual", "relu", "embedding"])
def test_gradient_has_the_mask_of_the_result(name):
    """The sum before dropout is 1 everywhere, so the derivative of an element is its factor."""
    dropped = OPERATORS[name](operators("c"), 0.3)
    factors, given = dropped.factors(), random_gradient(ROWS, COLUMNS)
    assert 0.2 < (factors == 0).mean() < 0.4
    if name == "residual":
        x, product, bias = dropped.gradients(given, (0, 1, 2))
        np.testing.assert_array_equal(x, given)
    elif name == "relu":
        product, bias = dropped.gradients(given, (0, 1))
    else:
        product, bias = *dropped.gradients(given, (0,)), (given * factors).sum(0)
    np.testing.assert_allclose(product, given * factors, rtol=1e-6)
    np.testing.assert_allclose(bias, (given * factors).sum(0), atol=1e-4)


def test_gradients_of_attention_have_the_mask_of_the_result():
    """The formulas, in float64: with weights w, factors f and dw = dout v^T, dscores = w (f dw - sum(w f dw))."""
    dropped = attention(operators("c"), 0.3)
    batch = len(dropped.inputs[0]) // QUERY_LEN
    shape = (batch, -1, HEADS, KEY_LEN)  # the size of a head is KEY_LEN
    factors = dropped.factors().reshape(shape).astype(np.float64)  # [batch, query, head, key]
    generator = np.random.default_rng(2)
    arrays = [generator.normal(size=tensor.shape).astype(np.float32) for tensor in dropped.inputs[:3]]
    dropped.inputs[:3] = map(Tensor, arrays)  # scores that differ; the mask depends on seed and site alone
    q, k, v = (array.reshape(shape).astype(np.float64) for array in arrays)
    scores = np.einsum("bqhd,bkhd->bqhk", q, k) / math.sqrt(KEY_LEN)
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    expected = np.einsum("bqhk,bkhd->bqhd", weights * factors, v)
    np.testing.assert_allclose(dropped.result().reshape(shape), expected, atol=1e-4)
    given = random_gradient(*dropped.inputs[0].shape)
    dout = given.reshape(shape).astype(np.float64)
    dweights = np.einsum("bqhd,bkhd->bqhk", dout, v) * factors
    dscores = weights * (dweights - (weights * dweights).sum(-1, keepdims=True)) / math.sqrt(KEY_LEN)
    expected_gradients = (np.einsum("bqhk,bkhd->bqhd", dscores, k), np.einsum("bqhk,bqhd->bkhd", dscores, q),
              np.einsum("bqhk,bqhd->bkhd", weights * factors, dout))
    for gradient, expected in zip(dropped.gradients(given, (0, 1, 2)), expected_gradients, strict=True):
        np.testing.assert_allclose(gradient.reshape(shape), expected, atol=1e-4)
