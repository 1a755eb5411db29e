"""Matrix products with inputs rounded to bfloat16: rounding, results and gradients, the fallback, and auto's choice."""
import ctypes
import itertools
import os
from collections.abc import Callable

import numpy as np
import pytest
from mindspore import Tensor, mutable, nn

from config.config import Config, LossScaleConfig, TrainingConfig
from src.common.errors import UsageError
from src.runtime.device import set_up_device
from src.transformer.kernels.build import build_kernels
from src.transformer.operators.c_products import ProductKernels
from src.transformer.operators.interface import Operators
from src.transformer.operators.number_format import FAST_BFLOAT16_VARIABLE, choose_number_format, has_fast_bfloat16
from src.transformer.operators.selection import choose_operators, operators_of
from tests.helpers.compiler import require_compiler
from tests.helpers.gradients import Widened, WithGradients
from tests.helpers.scripts import run_python
from tests.helpers.tiny_network import ROUNDED, operators

SEED = np.array([5, -7], np.int32)  # nothing is dropped out in evaluation
ROUNDING = 2.0**-8  # the largest relative error of a bfloat16

GENERATOR = np.random.default_rng(4)


def normal(*shape: int) -> np.ndarray:
    return GENERATOR.normal(size=shape).astype(np.float32)


@pytest.fixture(scope="module", autouse=True)
def device():
    require_compiler()
    set_up_device(Config())


# -- formulas in float64, of arguments without the dropout seed -------------------------------------------------------


def layer_norm(x, gamma, beta):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * gamma + beta


def attention(q, k, v, qb, kb, vb, query_segments, key_segments, heads=2):
    """Attention of one row of queries to one row of keys, causal if both have the same length."""
    q, k, v = q + qb, k + kb, v + vb
    allowed = query_segments[0][:, None] == key_segments[0][None, :]
    if len(q) == len(k):
        allowed &= np.tril(np.ones(allowed.shape, bool))
    parts = []
    for columns in np.split(np.arange(q.shape[1]), heads):
        scores = np.where(allowed, q[:, columns] @ k[:, columns].T / np.sqrt(len(columns)), -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        parts.append(weights / weights.sum(-1, keepdims=True) @ v[:, columns])
    return np.hstack(parts)


def cross_attention(x, states, qw, kw, vw, *rest):
    return attention(x @ qw.T, states @ kw.T, states @ vw.T, *rest)


def self_attention(x, qw, kw, vw, *rest):
    return cross_attention(x, x, qw, kw, vw, *rest)


class Total(nn.Cell):
    """The first result of the cross-entropy, the sum, which alone has a gradient, as a tensor [1]."""

    def __init__(self, cell: nn.Cell):
        super().__init__()
        self.cell = cell

    def construct(self, states, table, labels):
        return self.cell(states, table, labels)[0]


def cross_entropy(states, table, labels):
    logits = states @ table.T
    log_sums = np.log(np.exp(logits).sum(-1))
    losses = log_sums - 0.85 * logits[np.arange(len(labels)), labels] - 0.01 * logits.sum(-1)
    return np.array([losses[labels != 0].sum()])


HIDDEN = 8
WEIGHTS = [0.5 * normal(HIDDEN, HIDDEN) for _ in range(3)]
BIASES = [normal(HIDDEN) for _ in range(3)]
SEGMENTS = np.array([[1, 1, 2, 2, 2]], np.int32)
KEY_SEGMENTS = np.array([[1, 1, 1, 2]], np.int32)
CASES: dict[str, tuple[Callable[[Operators], object], Callable[..., np.ndarray], list[np.ndarray]]] = {
    "matmul": (lambda factory: factory.matmul(), lambda x, w: x @ w.T, [normal(5, 24), normal(7, 24)]),
    "layer norm": (lambda factory: factory.layer_norm(1e-5), layer_norm, [normal(3, 20), normal(20), normal(20)]),
    "residual": (lambda factory: factory.residual(0.5), lambda x, y, b: x + y + b,
                 [normal(3, 9), normal(3, 9), normal(9), SEED]),
    "relu": (lambda factory: factory.activation("relu", 0.5), lambda x, b: np.maximum(x + b, 0.0),
             [normal(3, 9), normal(9), SEED]),
    "attention": (lambda factory: factory.attention(2, 0.5, True), attention,
                  [normal(5, HIDDEN), normal(5, HIDDEN), normal(5, HIDDEN), *BIASES, SEGMENTS, SEGMENTS, SEED]),
    "self-attention": (lambda factory: factory.self_attention(2, 0.5, True), self_attention,
                       [normal(5, HIDDEN), *WEIGHTS, *BIASES, SEGMENTS, SEGMENTS, SEED]),
    "cross-attention": (lambda factory: factory.cross_attention(2, 0.5, False), cross_attention,
                        [normal(5, HIDDEN), normal(4, HIDDEN), *WEIGHTS, *BIASES, SEGMENTS, KEY_SEGMENTS, SEED]),
    "cross-entropy": (lambda factory: Total(factory.cross_entropy(0.85, 0.01)), cross_entropy,
                      [normal(5, HIDDEN), 0.5 * normal(17, HIDDEN), np.array([3, 0, 16, 1, 3], np.int32)]),
}


def numerical_gradient(formula: Callable[..., np.ndarray], inputs: list[np.ndarray], place: int,
                       output_gradient: np.ndarray) -> np.ndarray:
    """Return the gradient of sum(formula(inputs) * output_gradient) for one input, by central differences."""
    step, gradient = 1e-6, np.zeros(inputs[place].shape)
    for index in itertools.product(*map(range, gradient.shape)):
        sides = []
        for sign in (1.0, -1.0):
            moved = [array.copy() for array in inputs]
            moved[place][index] += sign * step
            sides.append((formula(*moved) * output_gradient).sum())
        gradient[index] = (sides[0] - sides[1]) / (2.0 * step)
    return gradient


@pytest.mark.parametrize("name", CASES)
def test_results_and_gradients_are_those_of_the_formula_up_to_rounding(name):
    make, formula, inputs = CASES[name]
    exact = [array.astype(np.float64) if array.dtype == np.float32 else array for array in inputs if array is not SEED]
    expected = formula(*exact)
    output_gradient = np.random.default_rng(1).normal(size=expected.shape).astype(np.float32)
    cell = WithGradients(Widened(make(operators(ROUNDED)))).set_train(False)
    found, gradients = cell(mutable(tuple(map(Tensor, inputs))), Tensor(output_gradient))
    # Each number of a result depends on a few roundings, whose errors are relative to the numbers that are added up.
    tolerance = 8.0 * ROUNDING
    np.testing.assert_allclose(found.asnumpy(), expected, atol=tolerance * np.abs(expected).max())
    for place in [place for place, array in enumerate(exact) if array.dtype == np.float64]:
        wanted = numerical_gradient(formula, exact, place, output_gradient.astype(np.float64))
        scale = max(np.abs(wanted).max(), 0.5)  # the gradient of a key's bias is 0
        np.testing.assert_allclose(gradients[place].float().asnumpy(), wanted, atol=tolerance * scale)


def rounded(x: np.ndarray) -> np.ndarray:
    """Return what the kernel rounds x to, as float32."""
    return ProductKernels(build_kernels().path).round()(Tensor(x)).float().asnumpy()


def test_numbers_are_rounded_to_the_nearest_bfloat16_and_ties_to_even():
    x = np.concatenate([normal(10000) * np.exp(20.0 * normal(10000)), [0.0, -0.0, 1.0, 2.0**-126]]).astype(np.float32)
    found = rounded(x)
    assert not (found.view(np.uint32) & 0xFFFF).any()
    assert (np.abs(found - x) <= ROUNDING * np.abs(x)).all()
    low = (x.view(np.uint32) & 0xFFFF0000).view(np.float32)
    high = ((x.view(np.uint32) & 0xFFFF0000) + np.uint32(0x10000)).view(np.float32)
    assert (np.abs(found - x) == np.minimum(np.abs(low - x), np.abs(high - x))).all()
    ties = np.array([1.0 + ROUNDING, 1.0 + 3.0 * ROUNDING, -1.0 - ROUNDING], np.float32)
    assert rounded(ties).tolist() == [1.0, 1.0 + 4.0 * ROUNDING, -1.0]


def test_numbers_that_are_not_finite_stay_so():
    payload = np.array([0x7F800001, 0xFFFFFFFF], np.uint32).view(np.float32)  # NaN whose upper half is infinity's
    found = rounded(np.array([np.inf, -np.inf, np.nan, *payload, 3.4e38], np.float32))
    assert found[0] == np.inf and found[1] == -np.inf and np.isnan(found[2:5]).all() and found[5] == np.inf


# -- the fallback and the choice --------------------------------------------------------------------------------------

PRODUCT = """
import src, ctypes, numpy as np
from mindspore import Tensor
from src.transformer.kernels.build import build_kernels
from src.transformer.operators.selection import choose_operators
generator = np.random.default_rng(1)
x, weight = (Tensor(generator.normal(size=shape).astype(np.float32)) for shape in ((70, 33), (50, 33)))
auto, choice = (choose_operators("CPU", "on", compute_type) for compute_type in ("auto", "bfloat16"))
print(auto.number_format.compute_type, choice.number_format.compute_type, choice.number_format.reason, sep="|")
print(*choice.operators.matmul()(x, weight).asnumpy().reshape(-1).tolist())
"""


def product_with(environment: dict[str, str]) -> tuple[list[str], np.ndarray]:
    """Return auto's format, the configured one with its reason, and a product, in a process with that environment."""
    formats, numbers = run_python(PRODUCT, environment=environment).stdout.splitlines()
    return formats.split("|"), np.array(numbers.split(), np.float64)


def test_without_instructions_products_are_the_same_but_slow_and_auto_is_float32():
    formats, fallback = product_with({"ONEDNN_MAX_CPU_ISA": "AVX2"})
    assert formats == ["float32", "bfloat16", "configured; slow: the processor has no instructions for it"]
    _, usual = product_with({})
    np.testing.assert_allclose(fallback, usual, atol=1e-5)
    generator = np.random.default_rng(1)
    x, weight = (rounded(generator.normal(size=shape).astype(np.float32)) for shape in ((70, 33), (50, 33)))
    np.testing.assert_allclose(fallback, (x.astype(np.float64) @ weight.T.astype(np.float64)).reshape(-1), atol=1e-5)


def test_auto_asks_the_processor(monkeypatch):
    monkeypatch.delenv(FAST_BFLOAT16_VARIABLE, raising=False)
    found = ctypes.CDLL(build_kernels().path).fast_bfloat16()
    assert choose_operators("CPU", "on", "auto").number_format.compute_type == ("bfloat16" if found else "float32")
    if "ONEDNN_MAX_CPU_ISA" not in os.environ and os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            flags = set(file.read().split())
        assert bool(found) == ("avx512_bf16" in flags)  # AMX-BF16 comes with it


@pytest.mark.parametrize(("value", "expected"), [("1", "bfloat16"), ("0", "float32")])
def test_a_variable_overrides_the_processor(value, expected, monkeypatch):
    monkeypatch.setenv(FAST_BFLOAT16_VARIABLE, value)
    choice = choose_operators("CPU", "on", "auto")
    assert choice.number_format.compute_type == expected and choice.number_format.reason.startswith("auto: ")
    assert choose_operators("CPU", "on", "float32").number_format == ("float32", "configured")
    monkeypatch.setenv(FAST_BFLOAT16_VARIABLE, "yes")
    with pytest.raises(UsageError, match="MASS_FAST_BFLOAT16 is 'yes': set it to 0 or 1"):
        has_fast_bfloat16(build_kernels().path)


def test_auto_on_other_devices_and_without_kernels():
    assert choose_number_format("auto", "CPU", "").compute_type == "float32"
    assert choose_number_format("auto", "GPU", "").compute_type == "float16"
    assert choose_number_format("auto", "Ascend", "").compute_type == "bfloat16"
    assert choose_number_format("float16", "GPU", "") == ("float16", "configured")


def test_auto_does_not_choose_float16_with_a_static_loss_scale():
    """Small gradients would be 0 in float16; the recipes have a static scale, for the CPU."""
    assert choose_number_format("auto", "GPU", "", "static").compute_type == "float32"
    gpu = Config(training_config=TrainingConfig(device_target="GPU"),
                 loss_scale_config=LossScaleConfig(loss_scale_mode="static"))
    assert operators_of(gpu).number_format.compute_type == "float32"
    assert choose_number_format("auto", "Ascend", "", "static").compute_type == "bfloat16"
    assert choose_number_format("float16", "GPU", "", "static").compute_type == "float16"
