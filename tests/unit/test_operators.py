"""The C kernels against MindSpore's operators: results, gradients, non-finite numbers, numbers of threads."""
import ctypes
import hashlib
import math
import os
from collections.abc import Callable

import numpy as np
import pytest
from mindspore import Tensor, mutable, nn

from config.config import Config
from src.runtime.device import set_up_device
from src.transformer.kernels.build import build_kernels
from src.transformer.operators.interface import Operators
from tests.helpers.compiler import require_compiler
from tests.helpers.gradients import Widened, WithGradients
from tests.helpers.scripts import run_python
from tests.helpers.tiny_network import IMPLEMENTATIONS, ROUNDED, operators

SEED = np.array([5, -7], np.int32)


class First(nn.Cell):
    """The first of several results of a cell: the one that has a gradient."""

    def __init__(self, cell: nn.Cell):
        super().__init__()
        self.cell = cell

    def construct(self, *inputs):
        return self.cell(*inputs)[0]


class Case:
    """An operator with inputs of one size and the gradient of its result.

    Args:
        make: makes the operator's cell from Operators.
        inputs: of the cell.
        output_gradient: of the shape of the result.
        constants: places of the float inputs that have no gradient.
    """

    def __init__(self, make: Callable[[Operators], nn.Cell], inputs: list[np.ndarray], output_gradient: np.ndarray,
                 constants: tuple[int, ...] = ()):
        self.make, self.inputs, self.output_gradient = make, inputs, output_gradient
        self.floats = [place for place, array in enumerate(inputs) if array.dtype == np.float32]
        self.with_gradient = [place for place in self.floats if place not in constants]

    def cell(self, implementation: str) -> nn.Cell:
        return WithGradients(Widened(self.make(operators(implementation)))).set_train(False)

    def run(self, cell: nn.Cell, inputs: list[np.ndarray] | None = None,
            output_gradient: np.ndarray | None = None) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return the result and the gradients of the inputs that have one."""
        inputs = inputs or self.inputs
        output_gradient = self.output_gradient if output_gradient is None else output_gradient
        result, gradients = cell(mutable(tuple(map(Tensor, inputs))), Tensor(output_gradient))
        return result.asnumpy(), [gradients[place].float().asnumpy() for place in self.with_gradient]


def normal(generator: np.random.Generator, *shape: int) -> np.ndarray:
    return generator.normal(size=shape).astype(np.float32)


def matrix_case(name: str, rows: int, columns: int) -> Case:
    """Return an operator that works row by row, with x [rows, columns]."""
    generator = np.random.default_rng((rows, columns))
    x, y, output_gradient = (normal(generator, rows, columns) for _ in range(3))
    bias, gamma = normal(generator, columns), 1.0 + normal(generator, columns)
    makes = {"layer_norm": (lambda factory: factory.layer_norm(1e-5), [3.0 * x + 1.0, gamma, bias]),
             "residual": (lambda factory: factory.residual(0.5), [x, y, bias, SEED]),
             "relu": (lambda factory: factory.activation("relu", 0.5), [x, bias, SEED]),
             "gelu": (lambda factory: factory.activation("gelu", 0.5), [x, bias, SEED])}
    return Case(*makes[name], output_gradient)


def embedding_case(rows: int, columns: int) -> Case:
    generator = np.random.default_rng((rows, columns, 1))
    ids = generator.integers(0, 9, rows, dtype=np.int32)  # most ids occur several times
    ids[0], ids[-1] = 0, 10
    inputs = [normal(generator, 11, columns), ids, generator.integers(0, 6, rows, dtype=np.int32),
              normal(generator, 6, columns), SEED]
    return Case(lambda factory: factory.embedding(1.5, 0.5), inputs, normal(generator, rows, columns), constants=(3,))


def loss_case(rows: int, hidden: int, vocab_size: int, smoothing: float) -> Case:
    generator = np.random.default_rng((rows, vocab_size))
    labels = generator.integers(1, vocab_size, rows, dtype=np.int32)
    labels[::3] = 0
    inputs = [normal(generator, rows, hidden), normal(generator, vocab_size, hidden), labels]
    other = smoothing / (vocab_size - 1)
    return Case(lambda factory: First(factory.cross_entropy(1.0 - smoothing - other, other)), inputs,
                normal(generator, 1))


def matmul_case(rows: int, in_features: int, out_features: int) -> Case:
    generator = np.random.default_rng((rows, in_features))
    inputs = [normal(generator, rows, in_features), normal(generator, out_features, in_features)]
    return Case(lambda factory: factory.matmul(), inputs, normal(generator, rows, out_features))


def segments(rows: list[list[int]], length: int) -> np.ndarray:
    """Return [rows, length] int32: in each row, segments of the given lengths, then padding."""
    numbers = [np.repeat(np.arange(1, len(row) + 1), row) for row in rows]
    return np.stack([np.pad(row, (0, length - len(row))) for row in numbers]).astype(np.int32)


def attention_case(heads: int, size: int, queries: list[list[int]], keys: list[list[int]] | None = None,
                   masked_share: float = 0.0, padding: int = 2) -> Case:
    """Return attention within segments of the given lengths, one list a row.

    Without `keys` it is causal self-attention. A share of the keys is masked, but never the first of a segment.
    """
    generator = np.random.default_rng((heads, size))
    query_segments = segments(queries, max(map(sum, queries)) + padding)
    key_segments = segments(keys or queries, max(map(sum, keys or queries)) + padding)
    first = np.diff(key_segments, axis=1, prepend=0) != 0  # of each segment; never masked
    key_segments = np.where((generator.random(key_segments.shape) < masked_share) & ~first, -key_segments, key_segments)
    (rows, query_len), key_len = query_segments.shape, key_segments.shape[1]
    inputs = [normal(generator, rows * length, heads * size) for length in (query_len, key_len, key_len)]
    inputs += [normal(generator, heads * size) for _ in range(3)]
    output_gradient = normal(generator, rows * query_len, heads * size) * (query_segments.reshape(-1, 1) != 0)
    causal = keys is None
    return Case(lambda factory: factory.attention(heads, 0.5, causal),
                [*inputs, query_segments, key_segments, SEED], output_gradient)


ATTENTIONS = {
    "one token": attention_case(2, 4, [[1]], padding=0),
    "causal": attention_case(2, 24, [[1, 17, 15], [33], [20, 3]]),
    "causal, wide heads": attention_case(1, 64, [[33], [16, 17]], padding=0),
    "masked keys": attention_case(3, 4, [[1, 17, 15], [33], [20, 3]], [[1, 17, 15], [33], [20, 3]], masked_share=0.4),
    "other keys": attention_case(2, 64, [[1, 9], [17, 1], [3]], [[17, 16], [1, 32], [5]], masked_share=0.4),
    "other keys, odd heads": attention_case(5, 7, [[4, 3, 2]], [[1, 2, 33]], padding=5),
}
CASES = {f"{name} {rows}x{columns}": matrix_case(name, rows, columns)
         for name in ("layer_norm", "residual", "relu", "gelu") for rows, columns in ((1, 2), (17, 19), (33, 130))}
CASES |= {f"embedding {rows}x{columns}": embedding_case(rows, columns) for rows, columns in ((1, 2), (33, 70))}
CASES |= {f"matmul {'x'.join(map(str, sizes))}": matmul_case(*sizes)
          for sizes in ((1, 1, 1), (3, 19, 70), (130, 33, 7), (64, 256, 64), (20, 512, 1536), (5, 1536, 512))}
CASES |= {"loss": loss_case(17, 5, 33, 0.1), "loss without smoothing": loss_case(7, 8, 16, 0.0)}
CASES |= {f"attention, {name}": case for name, case in ATTENTIONS.items()}


@pytest.fixture(scope="module", autouse=True)
def device():
    set_up_device(Config())


@pytest.mark.parametrize("name", CASES)
def test_kernels_compute_what_mindspore_operators_compute(name):
    case = CASES[name]
    (found, found_gradients), (expected, expected_gradients) = (case.run(case.cell(implementation))
                                                                for implementation in ("c", "mindspore"))
    if name.startswith("attention"):  # MindSpore's context of padding is undefined
        present = case.inputs[6].reshape(-1) != 0
        assert not found[~present].any()
        found, expected = found[present], expected[present]
    np.testing.assert_allclose(found, expected, atol=1e-5 * (1.0 + np.abs(expected).max()))
    for gradient, expected in zip(found_gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(gradient, expected, atol=2e-5 * (1.0 + np.abs(expected).max()))


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_gelu_computes_its_formula(implementation):
    case = matrix_case("gelu", 5, 9)
    x = (case.inputs[0] + case.inputs[1]).astype(np.float64)
    cdf = 0.5 * (1.0 + np.vectorize(math.erf)(x / math.sqrt(2.0)))  # of the standard normal distribution
    found, (gradient, bias_gradient) = case.run(case.cell(implementation))
    np.testing.assert_allclose(found, x * cdf, atol=1e-5)
    expected = case.output_gradient * (cdf + x * np.exp(-x * x / 2.0) / math.sqrt(2.0 * math.pi))
    np.testing.assert_allclose(gradient, expected, atol=1e-5)
    np.testing.assert_allclose(bias_gradient, expected.sum(0), atol=1e-4)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_negative_log_likelihood(implementation):
    states, table, labels = loss_case(17, 5, 33, 0.1).inputs
    found = operators(implementation).cross_entropy(0.85, 0.01)(*map(Tensor, (states, table, labels)))[2].asnumpy()
    logits = states.astype(np.float64) @ table.T.astype(np.float64)
    expected = np.log(np.exp(logits).sum(1)) - logits[np.arange(17), labels]
    np.testing.assert_allclose(found, np.where(labels == 0, 0.0, expected), atol=1e-5)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("shape", [(1,), (5, 7), (3, 2, 4), (100003,)])
def test_sum_of_squares(implementation, shape):
    x = normal(np.random.default_rng(1), *shape)
    found = operators(implementation).sum_of_squares()(Tensor(x)).asnumpy()
    assert found.shape == (1,)
    np.testing.assert_allclose(found, np.sum(x.astype(np.float64) ** 2), rtol=1e-5)
    x.reshape(-1)[-1] = np.nan
    assert np.isnan(operators(implementation).sum_of_squares()(Tensor(x)).asnumpy())


def test_the_context_of_a_query_without_keys_is_zero():
    case = attention_case(2, 4, [[3, 2]], [[4, 2]])
    inputs = [*case.inputs[:7], np.where(case.inputs[7] == 1, -1, case.inputs[7]), SEED]  # segment 1 is masked
    found, gradients = case.run(case.cell("c"), inputs)
    assert not found[:3].any() and found[3:5].all()
    for gradient, rows in zip(gradients[:3], (3, 4, 4), strict=True):
        assert not gradient[:rows].any() and np.isfinite(gradient).all()


NOT_FINITE = ["matmul 3x19x70", "layer_norm 17x19", "residual 17x19", "relu 17x19", "gelu 17x19", "embedding 33x70",
              "loss", "attention, causal", "attention, masked keys"]


@pytest.mark.parametrize("implementation", ["c", ROUNDED])
@pytest.mark.parametrize("name", NOT_FINITE)
def test_numbers_that_are_not_finite_propagate(name, implementation):
    """The check for overflow reads the norm of the gradients alone, so NaN and infinity must reach every result."""
    case = CASES[name]
    cell = case.cell(implementation)
    result, gradients = case.run(cell)
    assert np.isfinite(result).all() and all(np.isfinite(gradient).all() for gradient in gradients)
    for place in case.floats:
        for value in (np.nan, np.inf):
            inputs = [array.copy() for array in case.inputs]
            if name == "loss":  # in a row with a label: nothing is computed in the others
                inputs[place][1] = value
            elif place == 0 and name.startswith("embedding"):
                inputs[0][inputs[1][5], 3] = value
            elif place == 3 and name.startswith("embedding"):
                inputs[3][inputs[2][5], 3] = value
            else:
                inputs[place].reshape(-1)[1] = value
            assert not np.isfinite(case.run(cell, inputs)[0]).all(), f"input {place} is {value}"
    for value in (np.nan, np.inf):
        output_gradient = case.output_gradient.copy()
        # At a result that is not 0: the gradient is 0 where a ReLU is inactive.
        output_gradient[tuple(np.argwhere((output_gradient != 0) & (result != 0))[-1])] = value
        for place, gradient in zip(case.with_gradient, case.run(cell, None, output_gradient)[1], strict=True):
            assert not np.isfinite(gradient).all(), f"gradient of input {place}, output gradient {value}"


def test_scores_that_overflow_are_not_taken_for_masked_ones():
    case = attention_case(1, 4, [[1]], padding=0)
    inputs = [np.full_like(case.inputs[0], 3e38), np.full_like(case.inputs[1], -3e38), *case.inputs[2:]]
    assert np.isnan(case.run(case.cell("c"), inputs)[0]).all()


def digest_of_results() -> str:
    """Return a digest of the results and gradients of all kernels, with dropout; the next test compares it.

    Matrix multiplication is left out: oneDNN rounds differently when the work is divided among more threads. Of the
    loss, the logits and the gradient of the table are products with unit vectors, which are exact.
    """
    set_up_device(Config())
    generator, digest = np.random.default_rng(1), hashlib.sha256()
    loss = Case(lambda factory: First(factory.cross_entropy(0.85, 0.01)),
                [np.eye(17, dtype=np.float32), normal(generator, 131, 17), np.arange(17, dtype=np.int32)],
                normal(generator, 1), constants=(0,))
    names = ("layer_norm 33x130", "residual 33x130", "relu 33x130", "embedding 33x70", "attention, causal",
             "attention, other keys")
    for case in (loss, *(CASES[name] for name in names)):
        result, gradients = case.run(case.cell("c").set_train(True))
        for array in (result, *gradients):
            digest.update(array.tobytes())
    digest.update(operators("c").sum_of_squares()(Tensor(normal(generator, 100003))).asnumpy().tobytes())
    return digest.hexdigest()


def test_results_do_not_depend_on_the_number_of_threads(tmp_path):
    require_compiler()
    code = ("import src\nfrom src.transformer.kernels.build import build_kernels\n"
            "from tests.unit import test_operators\n"
            "print(build_kernels().threads, test_operators.digest_of_results())")
    one, three = (run_python(code, cwd=tmp_path, environment={"OMP_NUM_THREADS": threads}) for threads in ("1", "3"))
    (one_thread, one_digest), (three_threads, three_digest) = one.stdout.split(), three.stdout.split()
    assert (one_thread, three_threads) == ("1", "3")
    assert one_digest == three_digest
    assert os.listdir(tmp_path) == []  # MindSpore writes no files to the folder in which it runs custom operators


def test_products_do_not_depend_on_the_threads_that_openmp_provides():
    """Another library of the process may change OpenMP's number of threads, for the calling thread alone."""
    case = matmul_case(300, 70, 33)
    cell = case.cell("c")
    result, gradients = case.run(cell)
    try:
        openmp = ctypes.CDLL("libgomp.so.1")
    except OSError as error:
        pytest.skip(f"the compiler's OpenMP is another one: {error}")
    before = openmp.omp_get_max_threads()
    try:
        openmp.omp_set_num_threads(1 if before > 1 else 2)
        again, gradients_again = case.run(cell)
    finally:
        openmp.omp_set_num_threads(before)
    np.testing.assert_array_equal(again, result)
    for gradient, expected in zip(gradients_again, gradients, strict=True):
        np.testing.assert_array_equal(gradient, expected)


def call_kernel(name: str, inputs: list[np.ndarray], outputs: list[np.ndarray]) -> int:
    """Call a kernel as MindSpore does and return its code."""
    arrays = inputs + outputs
    shapes = [(ctypes.c_int64 * max(array.ndim, 1))(*array.shape) for array in arrays]
    library = ctypes.CDLL(build_kernels().path)
    return getattr(library, name)(
        len(arrays), (ctypes.c_void_p * len(arrays))(*[array.ctypes.data for array in arrays]), None,
        (ctypes.POINTER(ctypes.c_int64) * len(arrays))(*[ctypes.cast(shape, ctypes.POINTER(ctypes.c_int64))
                                                         for shape in shapes]),
        (ctypes.c_char_p * len(arrays))(*[array.dtype.name.encode() for array in arrays]), None, None)


@pytest.mark.parametrize(("last", "message"), [
    ((9, 5, 9), ""), ((10, 5, 9), "token id 10 in row 1 is out of range: allowed are 0 to 9"),
    ((-1, 5, 9), "token id -1 in row 1 is out of range: allowed are 0 to 9"),
    ((9, 6, 9), "position 6 in row 1 is out of range: allowed are 0 to 5"),
    ((9, -2, 9), "position -2 in row 1 is out of range: allowed are 0 to 5"),
    ((9, 5, -1), "label -1 in row 1 is out of range: allowed are 0 to 9"),
    ((9, 5, 10), "label 10 in row 1 is out of range: allowed are 0 to 9")])
def test_kernels_check_ids_positions_and_labels(last, message, capfd):
    require_compiler()
    table, ids, positions, labels = np.ones((10, 4), np.float32), *(np.array([1, of], np.int32) for of in last)
    one, site, rows = np.ones(1, np.float32), np.zeros(1, np.int32), np.ones(2, np.float32)
    codes = [call_kernel("embedding_forward", [table, ids, positions, table[:6], one, SEED, site, 0.0 * one],
                         [np.empty((2, 4), np.float32)]),
             call_kernel("cross_entropy_forward", [rows.reshape(2, 1), table[:, :1].copy(), labels, rows],
                         [one.copy(), rows.copy(), rows.copy(), np.empty((2, 18), np.float32)])]
    assert (sum(codes) > 0) == bool(message)
    assert message in capfd.readouterr().err


OUT_OF_RANGE = """
import src, numpy as np
from mindspore import Tensor
from config.config import Config
from src.transformer.kernels.build import build_kernels
from src.runtime.device import set_up_device
from tests.helpers.compiler import require_compiler
from tests.helpers.tiny_network import operators
set_up_device(Config())
embedding = operators("c").embedding(1.0, 0.0)
for token in (9, 10):
    inputs = [np.ones((10, 4), np.float32), np.array([1, token], np.int32), np.zeros(2, np.int32),
              np.ones((6, 4), np.float32), np.zeros(2, np.int32)]
    print(embedding(*map(Tensor, inputs)).asnumpy().shape)
"""


def test_an_id_out_of_range_is_an_error_and_no_crash(tmp_path):
    """The test needs a process of its own because MindSpore runs no graph again after one has failed."""
    require_compiler()
    found = run_python(OUT_OF_RANGE, code=None, cwd=tmp_path)
    assert found.returncode == 1 and found.stdout == "(2, 4)\n", found.stderr
    for part in ("token id 10 in row 1", "RuntimeError", "embedding_forward"):
        assert part in found.stderr


def test_openmp_threads_wait_passively_by_default(tmp_path):
    code = "import src, os\nprint(os.environ['OMP_WAIT_POLICY'])"
    for given, used in ((None, "passive"), ("active", "active")):  # src, which conftest.py imports, has set it here
        assert run_python(code, cwd=tmp_path, environment={"OMP_WAIT_POLICY": given}).stdout == f"{used}\n"
