"""Dropout of the C kernels: rates, scale, independence, and one mask forward and backward."""
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
DEVIATIONS = 5.0  # of a mean that tests allow: one in 1.7 million samples is further away


@pytest.fixture(scope="module", autouse=True)
def device():
    set_up_device(Config())


class Dropped:
    """An operator, and how to see the factors of its dropout, [rows, columns]: 0 or 1 / (1 - probability)."""

    def __init__(self, cell: nn.Cell, inputs: list[np.ndarray], factors: Callable[[np.ndarray], np.ndarray]):
        self.cell, self.inputs = cell.set_train(True), list(map(Tensor, inputs))
        self._factors = factors

    def result(self, seed: tuple[int, int] = SEED) -> np.ndarray:
        return self.cell(*self.inputs, Tensor(seed, mstype.int32)).asnumpy()

    def factors(self, seed: tuple[int, int] = SEED) -> np.ndarray:
        return self._factors(self.result(seed))

    def gradients(self, slopes: np.ndarray, places: tuple[int, ...], seed: tuple[int, int] = SEED) -> list[np.ndarray]:
        inputs = mutable((*self.inputs, Tensor(seed, mstype.int32)))
        _, gradients = WithGradients(self.cell).set_train(True)(inputs, Tensor(slopes))
        return [gradients[place].asnumpy() for place in places]


def residual(own: COperators, probability: float) -> Dropped:
    return Dropped(own.residual(probability), [ZEROS, ONES, BIAS], lambda out: out)


def relu(own: COperators, probability: float) -> Dropped:
    return Dropped(own.activation("relu", probability), [ONES, BIAS], lambda out: out)


def embedding(own: COperators, probability: float) -> Dropped:
    ids, positions = np.arange(ROWS, dtype=np.int32), np.zeros(ROWS, np.int32)
    return Dropped(own.embedding(1.0, probability), [ONES, ids, positions, ZEROS[:1]], lambda out: out)


def attention(own: COperators, probability: float) -> Dropped:
    """All scores alike, and key k's value is the k-th unit vector: entry k of a result is factor k / KEY_LEN."""
    batch, hidden = 6, HEADS * KEY_LEN
    values = np.tile(np.eye(KEY_LEN, dtype=np.float32), (batch, HEADS))
    queries, keys = np.zeros((batch * QUERY_LEN, hidden), np.float32), np.zeros((batch * KEY_LEN, hidden), np.float32)
    segments = [np.ones((batch, length), np.int32) for length in (QUERY_LEN, KEY_LEN)]
    biases = [np.zeros(hidden, np.float32)] * 3
    return Dropped(own.attention(HEADS, probability, False), [queries, keys, values, *biases, *segments],
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
    for axis in (0, 1):  # no row and no column stands out
        rates = kept.mean(axis=axis)
        assert np.abs(rates - (1.0 - probability)).max() < (DEVIATIONS + 1) * deviation / math.sqrt(kept.shape[axis])
        assert rates.std() > 0.5 * deviation / math.sqrt(kept.shape[axis])  # nor are they all alike


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """In standard deviations of what independent masks have."""
    return abs(np.corrcoef(one.ravel() != 0, other.ravel() != 0)[0, 1]) * math.sqrt(one.size)


def test_entries_are_independent(make):
    factors = make(operators("c"), 0.5).factors()
    for rows, columns in ((0, 1), (0, 2), (0, 3), (0, 4), (1, 0), (1, 1), (2, 0), (QUERY_LEN, 0)):
        later = factors[rows:, columns:]
        assert correlation(factors[: later.shape[0], : later.shape[1]], later) < DEVIATIONS, (rows, columns)


def test_a_seed_and_a_place_have_a_mask_of_their_own(make):
    own = operators("c")
    here, there = make(own, 0.5), make(own, 0.5)
    factors = here.factors()
    np.testing.assert_array_equal(here.factors(), factors)
    np.testing.assert_array_equal(make(operators("c"), 0.5).factors(), factors)  # of another network, same place
    for seed in ((7, -2), (8, -3), (-3, 7), (0, 0), (-(2**31), 2**31 - 1)):
        assert correlation(here.factors(seed), factors) < DEVIATIONS, seed
    assert correlation(there.factors(), factors) < DEVIATIONS


def test_no_dropout_in_evaluation_nor_at_probability_zero(make):
    evaluated, without = make(operators("c"), 0.5), make(operators("c"), 0.0)
    evaluated.cell.set_train(False)
    np.testing.assert_array_equal(without.result(), evaluated.result())
    if make is not attention:
        np.testing.assert_array_equal(without.factors(), np.ones_like(without.factors()))
    else:
        np.testing.assert_allclose(without.factors(), 1.0, rtol=1e-5)


# -- the backward pass drops out what the forward pass has dropped out -------------------------------------------------


def slopes(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("name", ["residual", "relu", "embedding"])
def test_gradient_has_the_mask_of_the_result(name):
    """The sum before dropout is 1 everywhere, so that the slope of an entry is its factor."""
    dropped = OPERATORS[name](operators("c"), 0.3)
    factors, given = dropped.factors(), slopes(ROWS, COLUMNS)
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
    """By the formulas, in float64: with weights w, factors f and dw = dout v^T, dscores = w (f dw - sum(w f dw))."""
    dropped = attention(operators("c"), 0.3)
    batch = len(dropped.inputs[0]) // QUERY_LEN
    shape = (batch, -1, HEADS, KEY_LEN)  # the size of a head is KEY_LEN
    factors = dropped.factors().reshape(shape).astype(np.float64)  # [batch, query, head, key]
    generator = np.random.default_rng(2)
    arrays = [generator.normal(size=tensor.shape).astype(np.float32) for tensor in dropped.inputs[:3]]
    dropped.inputs[:3] = map(Tensor, arrays)  # scores that differ; the mask depends on seed and place alone
    q, k, v = (array.reshape(shape).astype(np.float64) for array in arrays)
    scores = np.einsum("bqhd,bkhd->bqhk", q, k) / math.sqrt(KEY_LEN)
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    expected = np.einsum("bqhk,bkhd->bqhd", weights * factors, v)
    np.testing.assert_allclose(dropped.result().reshape(shape), expected, atol=1e-4)
    given = slopes(*dropped.inputs[0].shape)
    dout = given.reshape(shape).astype(np.float64)
    dweights = np.einsum("bqhd,bkhd->bqhk", dout, v) * factors
    dscores = weights * (dweights - (weights * dweights).sum(-1, keepdims=True)) / math.sqrt(KEY_LEN)
    wanted = (np.einsum("bqhk,bkhd->bqhd", dscores, k), np.einsum("bqhk,bqhd->bkhd", dscores, q),
              np.einsum("bqhk,bqhd->bkhd", weights * factors, dout))
    for gradient, of in zip(dropped.gradients(given, (0, 1, 2)), wanted, strict=True):
        np.testing.assert_allclose(gradient.reshape(shape), of, atol=1e-4)
