"""The output layer with its loss, one operator: its formula, its gradients, chunks of rows, memory."""
from typing import NamedTuple

import numpy as np
import pytest
from mindspore import Tensor, mutable, nn, ops

from config.config import Config
from src.runtime.device import set_up_device
from tests.helpers.compiler import require_compiler
from tests.helpers.scripts import run_python
from tests.helpers.tiny_network import IMPLEMENTATIONS, operators

CHUNK = 256  # rows that the C kernel computes at once; the sizes below fall short of multiples of it and exceed them


class Found(NamedTuple):
    """The results of the operator, and the gradients of the sum of the losses times a factor."""

    total: np.ndarray  # [1]
    losses: np.ndarray  # [rows]
    nll: np.ndarray  # [rows]
    dstates: np.ndarray  # [rows, hidden]
    dtable: np.ndarray  # [vocabulary, hidden]


class Differentiated(nn.Cell):
    def __init__(self, cell: nn.Cell):
        super().__init__()
        self.cell = cell
        self.gradient = ops.GradOperation(get_all=True, sens_param=True)

    def total(self, states, table, labels):
        return self.cell(states, table, labels)[0]

    def construct(self, inputs, factor):
        return self.cell(*inputs), self.gradient(self.total)(*inputs, factor)


def weights(smoothing: float, vocabulary: int) -> tuple[float, float]:
    other = smoothing / (vocabulary - 1)
    return 1.0 - smoothing - other, other


def compute(implementation: str, inputs: list[np.ndarray], smoothing: float = 0.1, factor: float = 1.0,
            training: bool = True) -> Found:
    cell = operators(implementation).cross_entropy(*weights(smoothing, len(inputs[1])))
    results, gradients = Differentiated(cell).set_train(training)(mutable(tuple(map(Tensor, inputs))),
                                                                  Tensor(np.array([factor], np.float32)))
    return Found(*(result.asnumpy() for result in (*results, gradients[0], gradients[1])))


def expected(inputs: list[np.ndarray], smoothing: float, factor: float) -> Found:
    """Return what the formula gives in float64, by the smoothed distribution of each row."""
    states, table, labels = inputs[0].astype(np.float64), inputs[1].astype(np.float64), inputs[2]
    logits = states @ table.T
    log_p = logits - logits.max(1, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(1, keepdims=True))
    smoothed = np.full_like(log_p, smoothing / (len(table) - 1))
    smoothed[np.arange(len(labels)), labels] = 1.0 - smoothing
    present = (labels != 0)[:, None]
    losses = -(present * smoothed * log_p).sum(1)
    dlogits = factor * present * (np.exp(log_p) - smoothed)
    return Found(np.array([losses.sum()]), losses, np.where(labels == 0, 0.0, -log_p[np.arange(len(labels)), labels]),
                 dlogits @ table, dlogits.T @ states)


def inputs_of(rows: int, hidden: int, vocabulary: int, pads: str) -> list[np.ndarray]:
    """Return states, table and labels; `pads` are "none", "some" rows, "many" rows in succession, or "all" rows."""
    generator = np.random.default_rng((rows, vocabulary))
    states, table = (generator.normal(size=(size, hidden)).astype(np.float32) for size in (rows, vocabulary))
    labels = generator.integers(1, vocabulary, rows, dtype=np.int32)
    pad_rows = {"none": slice(0), "some": slice(None, None, 3), "many": slice(5, 5 + 2 * CHUNK), "all": slice(None)}
    labels[pad_rows[pads]] = 0
    return [states, table, labels]


SIZES = [(1, 3, 7, "none"), (1, 3, 7, "all"), (17, 5, 33, "some")]
SIZES_OF_CHUNKS = [(CHUNK, 4, 16, "none"), (CHUNK + 1, 20, 31, "none"), (3 * CHUNK + 8, 16, 130, "many"),
                   (2 * CHUNK + 7, 24, 61, "some"), (2 * CHUNK + 7, 24, 61, "all")]
CASES = [*((implementation, size) for implementation in IMPLEMENTATIONS for size in SIZES),
         *(("c", size) for size in SIZES_OF_CHUNKS)]


@pytest.fixture(scope="module", autouse=True)
def device():
    set_up_device(Config())


@pytest.mark.parametrize(("implementation", "size"), CASES,
                         ids=lambda value: value if isinstance(value, str) else "x".join(map(str, value)))
def test_loss_and_gradients_compute_their_formulas(implementation, size):
    inputs = inputs_of(*size)
    for smoothing, factor, training in ((0.1, 1.0, True), (0.0, 0.3, True), (0.1, -65536.0, False)):
        found, formula = compute(implementation, inputs, smoothing, factor, training), expected(inputs, smoothing,
                                                                                                factor)
        for name, value, of_formula in zip(Found._fields, found, formula, strict=True):
            np.testing.assert_allclose(value, of_formula, rtol=1e-5, atol=2e-6 * (1.0 + np.abs(of_formula).max()),
                                       err_msg=f"{name}, smoothing {smoothing}, factor {factor}, training {training}")
        for value in (found.losses, found.nll, found.dstates):
            assert not value[inputs[2] == 0].any()


def test_large_logits_do_not_overflow():
    inputs = inputs_of(5, 4, 9, "none")
    inputs[0] *= 1e4
    for implementation in IMPLEMENTATIONS:
        found, formula = compute(implementation, inputs), expected(inputs, 0.1, 1.0)
        for value, of_formula in zip(found, formula, strict=True):
            np.testing.assert_allclose(value, of_formula, rtol=1e-4, atol=1e-3 * (1.0 + np.abs(of_formula).max()))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_what_is_not_finite_reaches_the_gradients(training, value):
    """The check for overflow reads the norm of the gradients alone."""
    for place in (0, 1):
        inputs = inputs_of(CHUNK + 3, 4, 9, "some")
        inputs[place][1] = value  # 3e38: the logits overflow
        found = compute("c", inputs, training=training)
        assert not np.isfinite(found.total).all()
        for gradient in (found.dstates, found.dtable):
            assert not np.isfinite(gradient).all()
    overflow = compute("c", inputs_of(9, 4, 9, "some"), factor=value if np.isnan(value) else np.inf, training=training)
    assert not np.isfinite(overflow.dstates).all() and not np.isfinite(overflow.dtable).all()


def test_nothing_is_computed_for_padding():
    inputs = inputs_of(2 * CHUNK + 7, 24, 61, "some")
    without = [inputs[0][inputs[2] != 0], inputs[1], inputs[2][inputs[2] != 0]]
    inputs[0][inputs[2] == 0] = np.nan
    found, alone = compute("c", inputs), compute("c", without)
    np.testing.assert_array_equal(found.total, alone.total)
    np.testing.assert_array_equal(found.dtable, alone.dtable)
    np.testing.assert_array_equal(found.dstates[inputs[2] != 0], alone.dstates)


def test_results_are_the_same_bits_each_time():
    inputs = inputs_of(3 * CHUNK + 8, 16, 130, "many")
    first = compute("c", inputs)
    for _ in range(3):
        for value, again in zip(first, compute("c", inputs), strict=True):
            np.testing.assert_array_equal(value, again)


def test_evaluation_computes_the_losses_of_training():
    inputs = inputs_of(2 * CHUNK + 7, 24, 61, "some")
    for value, in_evaluation in zip(compute("c", inputs), compute("c", inputs, training=False), strict=True):
        np.testing.assert_array_equal(value, in_evaluation)


PEAK_MEMORY = """
import resource
import src, numpy as np
from config.config import Config
from src.runtime.device import set_up_device
from tests.unit.test_cross_entropy import compute
set_up_device(Config())
for rows in (64, 4096):
    compute("c", [np.ones((rows, 4), np.float32), np.ones((20000, 4), np.float32), np.ones(rows, np.int32)])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def test_memory_does_not_grow_with_rows_times_vocabulary(tmp_path):
    require_compiler()
    few, many = map(float, run_python(PEAK_MEMORY, cwd=tmp_path).stdout.split())
    all_logits = 4 * 4096 * 20000 / 2**20  # MiB
    assert many - few < 0.25 * all_logits
