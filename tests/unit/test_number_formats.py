"""The number formats of the cached steps in C: products, steps and candidates, within the error of each format."""
import dataclasses

import numpy as np
import pytest

from config.config import Config
from src.common.errors import UsageError
from src.runtime.device import set_up_device
from src.transformer.decoding.c_steps import CSteps, load_library
from src.transformer.decoding.graph_steps import GraphSteps
from src.transformer.decoding.interface import StepSizes
from src.transformer.decoding.number_formats import (
    NUMBER_FORMATS,
    StepFormats,
    choose_format,
    step_formats,
)
from src.transformer.decoding.packed_weights import PackedMatrix, PackedWeights
from src.transformer.decoding.selection import make_steps
from src.transformer.kernels.build import build_kernels
from src.transformer.operators.c_operators import COperators
from src.transformer.transformer import Transformer
from src.utils.dictionary import EOS_INDEX
from tests.helpers.compiler import require_compiler
from tests.helpers.processors import LESSER_PROCESSORS, THIS_PROCESSOR, kernels_of
from tests.helpers.tiny_network import operators, scramble
from tests.unit.test_c_steps import MAX_LENGTH, UNEVEN, decode_random, expected_log_probs, some_sources

NETWORK = dataclasses.replace(UNEVEN, vocab_size=1003)  # several blocks of outputs, the last one not full
LOG_PROB_ERRORS = {"float32": 5e-5, "bfloat16": 0.05, "int8": 0.15}


@pytest.fixture(scope="module")
def library():
    require_compiler()
    return load_library(build_kernels().path)


@pytest.fixture(scope="module", params=LESSER_PROCESSORS)
def lesser(request):
    """The kernels as a processor with fewer instructions runs them."""
    return load_library(kernels_of(request.param))


@pytest.fixture(scope="module")
def network():
    set_up_device(Config())
    network = Transformer(NETWORK, operators("mindspore"))
    scramble(network)
    return network


def random_product(rows: int, outputs: int, inputs: int) -> tuple[np.ndarray, ...]:
    """Return x [rows, inputs], whose rows are not centred, a weight [outputs, inputs] and a bias [outputs]."""
    generator = np.random.default_rng(rows)
    x = generator.normal(generator.normal(size=(rows, 1)), size=(rows, inputs))
    weight = generator.normal(size=(outputs, inputs)) * generator.uniform(0.1, 2.0, (outputs, 1))
    return tuple(array.astype(np.float32) for array in (x, weight, generator.normal(size=outputs)))


def largest_errors(number_format: str, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return bounds of the errors of x weight^T, [rows, outputs], if inputs and weights are rounded to a format."""
    x, weight = x.astype(np.float64), weight.astype(np.float64)
    if number_format == "int8":  # half a step
        x_error = np.broadcast_to((x.max(1) - x.min(1))[:, None] / 254 / 2, x.shape)
        weight_error = np.broadcast_to(np.abs(weight).max(1)[:, None] / 127 / 2, weight.shape)
    else:
        unit = {"float32": 0.0, "bfloat16": 2.0**-7}[number_format]  # of the last of 8 bits
        x_error, weight_error = np.abs(x) * unit / 2, np.abs(weight) * unit / 2
    rounding = x_error @ np.abs(weight).T + np.abs(x) @ weight_error.T + x_error @ weight_error.T
    return rounding + 1e-5 * (1.0 + np.abs(x) @ np.abs(weight).T)


SIZES = [(1, 128, 64), (2, 130, 70), (3, 33, 1), (5, 31, 7), (13, 70, 36), (40, 257, 129)]  # rows, outputs, inputs


@pytest.mark.parametrize("number_format", NUMBER_FORMATS)
@pytest.mark.parametrize("rows, outputs, inputs", SIZES)
def test_products_are_within_the_error_of_the_format(library, number_format, rows, outputs, inputs):
    x, weight, bias = random_product(rows, outputs, inputs)
    error = np.abs(PackedMatrix(library, weight, bias, number_format).product(x)
                   - (x.astype(np.float64) @ weight.astype(np.float64).T + bias))
    allowed = largest_errors(number_format, x, weight)
    assert (error <= allowed).all()
    if number_format != "float32" and inputs > 1:
        assert error.max() > 1e-3 * allowed.max()  # it is that format


@pytest.mark.parametrize("number_format", NUMBER_FORMATS)
@pytest.mark.parametrize("rows, outputs, inputs", SIZES)
def test_products_are_the_same_on_all_processors(library, lesser, number_format, rows, outputs, inputs):
    x, weight, bias = random_product(rows, outputs, inputs)
    found, expected = (PackedMatrix(kernels, weight, bias, number_format).product(x) for kernels in (lesser, library))
    exact = x.astype(np.float64) @ weight.astype(np.float64).T + bias
    assert (np.abs(found - exact) <= largest_errors(number_format, x, weight)).all()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("number_format", NUMBER_FORMATS)
def test_constant_rows_and_zero_weights(library, number_format):
    """Their ranges are 0, by which nothing may be divided."""
    x, weight, bias = random_product(4, 40, 24)
    x[1], x[2], weight[7] = 0.0, 2.0, 0.0
    found = PackedMatrix(library, weight, bias, number_format).product(x)
    exact = x.astype(np.float64) @ weight.astype(np.float64).T + bias
    assert (np.abs(found - exact) <= largest_errors(number_format, x, weight)).all()
    np.testing.assert_allclose(found[:, 7], bias[7], rtol=1e-6)


@pytest.mark.parametrize("number_format", NUMBER_FORMATS)
@pytest.mark.parametrize("damage", [np.nan, np.inf])
def test_numbers_that_are_not_finite_stay_so(library, number_format, damage):
    for number in range(2):
        factors = random_product(3, 40, 24)
        factors[number][1, 5] = damage
        found = PackedMatrix(library, factors[1], factors[2], number_format).product(factors[0])
        assert not np.isfinite(found[1] if number == 0 else found[:, 1]).any()
        assert np.isfinite(np.delete(found, 1, axis=number)).all()


@pytest.mark.parametrize("number_format", NUMBER_FORMATS)
@pytest.mark.parametrize("candidates", [6, NETWORK.vocab_size])
@pytest.mark.parametrize("processor", [THIS_PROCESSOR, *LESSER_PROCESSORS])
def test_steps_are_close_to_the_formulas(network, number_format, candidates, processor):
    """With few candidates, the logits are not stored; with all, they are."""
    batch, width = 5, 3
    sizes = StepSizes(batch, width, MAX_LENGTH, candidates, False)
    steps = CSteps(kernels_of(processor), network, sizes, number_format)
    sources = some_sources(batch, 7, seed=1)
    for ids, result in decode_random(steps, sources, width, seed=2):
        expected = expected_log_probs(network, sources, ids)
        error = LOG_PROB_ERRORS[number_format]
        np.testing.assert_allclose(result.log_probs, np.take_along_axis(expected, result.ids, 2), atol=error)
        np.testing.assert_allclose(result.eos_log_probs, expected[..., EOS_INDEX], atol=error)
        best = -np.sort(-expected, axis=2)[:, :, :candidates]
        np.testing.assert_allclose(-np.sort(-result.log_probs, axis=2), best, atol=error)  # none is missing
        assert candidates == NETWORK.vocab_size or (np.diff(result.log_probs, axis=2) <= 0.0).all()


@pytest.mark.parametrize("number_format", NUMBER_FORMATS)
def test_other_sentences_change_no_bit(library, network, number_format):
    sources = some_sources(9, 7, seed=1)
    steps = CSteps(library._name, network, StepSizes(9, 3, MAX_LENGTH, 10, False), number_format)
    ids, together = decode_random(steps, sources, 3, seed=2)[0]
    for row in (0, 4, 8):
        steps.start(*(array[row : row + 1] for array in sources))
        ancestors = np.broadcast_to(np.arange(3, dtype=np.int32)[:, None], (1, 3, 1))
        alone = steps.step(0, np.arange(1), ids[row : row + 1, :, -1], ancestors)
        np.testing.assert_array_equal(alone.log_probs[0], together.log_probs[row])
        np.testing.assert_array_equal(alone.ids[0], together.ids[row])
        np.testing.assert_array_equal(alone.eos_log_probs[0], together.eos_log_probs[row])


def test_the_logits_of_candidates_are_exact_where_the_states_are(library, network):
    """int8 finds the candidates; without layers, the states are those of float32, and so the logits must be."""
    shallow = Transformer(dataclasses.replace(NETWORK, num_hidden_layers=1), operators("mindspore"))
    scramble(shallow)
    for parameter in shallow.get_parameters():
        if ".output." in parameter.name or ".fc2." in parameter.name:
            parameter.set_data(parameter * 0.0)  # the layers add nothing
    sources = some_sources(4, 7, seed=3)
    sizes = StepSizes(4, 2, MAX_LENGTH, 8, False)
    exact, found = (decode_random(CSteps(library._name, shallow, sizes, name), sources, 2, seed=4)
                    for name in ("float32", "int8"))
    for (_, expected), (_, result) in zip(exact, found, strict=True):
        np.testing.assert_array_equal(result.ids, expected.ids)
        ratio = result.log_probs - result.eos_log_probs[..., None]  # without the sum over the vocabulary
        np.testing.assert_allclose(ratio, expected.log_probs - expected.eos_log_probs[..., None], atol=1e-5)
        np.testing.assert_allclose(result.log_probs, expected.log_probs, atol=2e-3)


def test_only_fc2_and_the_output_layer_are_int8(library, lesser):
    assert step_formats("float32", True, library) == ("float32",) * 3
    assert step_formats("bfloat16", True, lesser) == ("bfloat16", "bfloat16", "int8")
    assert step_formats("bfloat16", False, lesser) == ("bfloat16",) * 3
    assert not lesser.has_bfloat16_products()
    assert step_formats("int8", True, lesser) == ("float32", "int8", "int8")
    assert step_formats("int8", False, lesser) == ("float32", "int8", "float32")  # stored logits stay as they are
    assert step_formats("int8", False, library)[0] != "int8"


def test_each_weight_has_its_format(library, network):
    packed = PackedWeights(library, network, StepFormats("float32", "int8", "bfloat16")).network
    for layer in (packed.encoder[0], packed.decoder[0]):
        weights = [layer.self_attention.query_key_value, layer.self_attention.output, layer.feed_forward.fc1]
        assert [NUMBER_FORMATS[weight.format] for weight in weights] == ["float32"] * 3
        assert NUMBER_FORMATS[layer.feed_forward.fc2.format] == "int8"
    assert NUMBER_FORMATS[packed.decoder[0].cross_attention.key_value.format] == "float32"
    assert NUMBER_FORMATS[packed.logits.format] == "bfloat16"


def test_the_configuration_chooses_the_format():
    set_up_device(Config())
    sizes = StepSizes(1, 1, MAX_LENGTH, 5, False)
    for wanted, expected in (("auto", "float32"), ("bfloat16", "bfloat16"), ("int8", "int8")):
        model = dataclasses.replace(NETWORK, decode_compute_type=wanted)
        steps = make_steps(Transformer(model, operators("c")), sizes)
        assert isinstance(steps, CSteps) and steps.number_format == expected
    rounded = Transformer(NETWORK, COperators(build_kernels().path, "bfloat16"))
    assert make_steps(rounded, sizes).number_format == "bfloat16"  # as it was trained
    assert isinstance(make_steps(Transformer(NETWORK, operators("mindspore")), sizes), GraphSteps)
    with pytest.raises(UsageError, match="decode_compute_type is int8: only the C kernels"):
        choose_format("int8", operators("mindspore"))
