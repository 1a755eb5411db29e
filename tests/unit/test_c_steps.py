"""Cached steps in C: equal to the formulas for many sizes, equal to MindSpore's graphs, and their errors."""
import ctypes
import dataclasses
import subprocess

import numpy as np
import pytest
from mindspore import Tensor

from config.config import Config
from src.common.errors import MassError
from src.runtime.device import set_up_device
from src.transformer.decoding.c_steps import CSteps
from src.transformer.decoding.graph_steps import GraphSteps
from src.transformer.decoding.interface import StepResult, StepSizes
from src.transformer.decoding.options import SearchOptions
from src.transformer.decoding.packed_weights import aligned_floats
from src.transformer.decoding.selection import make_steps
from src.transformer.kernels.build import build_kernels
from src.transformer.transformer import Transformer
from src.transformer.transformer_for_infer import TransformerForInfer
from src.utils.dictionary import BOS_INDEX, EOS_INDEX
from tests.helpers.compiler import require_compiler
from tests.helpers.reference import log_probs
from tests.helpers.tiny_network import MODEL, named_arrays, operators, scramble, sentences

# Sizes for which panels of weights are not full and head sizes are no multiple of a vector.
UNEVEN = dataclasses.replace(MODEL, vocab_size=83, hidden_size=36, num_attention_heads=3, intermediate_size=70)
ROUNDING = 5e-5
MAX_LENGTH = 4


@pytest.fixture(scope="module")
def library():
    require_compiler()
    return build_kernels().path


@pytest.fixture(scope="module")
def network():
    set_up_device(Config())
    network = Transformer(UNEVEN, operators("mindspore"))
    scramble(network)
    return network


def some_sources(batch: int, source_len: int, seed: int) -> tuple[np.ndarray, ...]:
    """Return ids, positions, segments and mask; some tokens in the middle of sentences are masked."""
    generator = np.random.default_rng(seed)
    ids = sentences(generator.integers(2, source_len + 1, batch).tolist(), seed).padded(np.arange(batch), source_len)
    segments = (ids != 0).astype(np.int32)
    mask = segments * (generator.random(ids.shape) < 0.8)
    mask[:, 0] = 1
    return ids, segments * np.arange(source_len, dtype=np.int32), segments, mask.astype(np.int32)


def decode_random(steps, sources: tuple[np.ndarray, ...], width: int, seed: int) -> list[tuple[np.ndarray, StepResult]]:
    """Decode random hypotheses. Return their ids [batch, width, position + 1] and the result of each step."""
    generator, batch = np.random.default_rng(seed), len(sources[0])
    steps.start(*sources)
    ids, ancestors = (np.zeros((batch, width, 0), np.int32) for _ in range(2))
    own = np.broadcast_to(np.arange(width, dtype=np.int32)[:, None], (batch, width, 1))
    found = []
    for position in range(MAX_LENGTH):
        new = generator.integers(EOS_INDEX, UNEVEN.vocab_size, own.shape) if position else np.full(own.shape, BOS_INDEX)
        ids = np.concatenate([ids, new.astype(np.int32)], axis=2)
        ancestors = np.concatenate([ancestors, own], axis=2)
        found.append((ids, steps.step(position, np.arange(batch), ids[:, :, -1], ancestors)))
        parents = generator.integers(0, width, own.shape)
        ids, ancestors = (np.take_along_axis(past, parents, axis=1) for past in (ids, ancestors))
    return found


def expected_log_probs(network: Transformer, sources: tuple[np.ndarray, ...], ids: np.ndarray) -> np.ndarray:
    """Return log-probabilities [batch, width, vocab_size] of the next token, by the formulas."""
    batch, width, length = ids.shape
    inputs = ids.reshape(-1, length)
    rows = (np.repeat(array, width, axis=0) for array in sources)
    found = log_probs(named_arrays(network), UNEVEN.num_attention_heads, *rows, inputs,
                      np.broadcast_to(np.arange(length), inputs.shape), np.ones_like(inputs))
    return found[:, -1].reshape(batch, width, -1)


@pytest.mark.parametrize("batch, width", [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (2, 4), (3, 3), (12, 1), (5, 5)])
def test_steps_equal_the_formulas_for_any_number_of_rows(library, network, batch, width):
    """Matrix products are computed in tiles that depend on the number of rows."""
    steps = CSteps(library, network, StepSizes(batch, width, MAX_LENGTH, UNEVEN.vocab_size, False))
    sources = some_sources(batch, 7, seed=batch)
    for ids, result in decode_random(steps, sources, width, seed=width):
        expected = expected_log_probs(network, sources, ids)
        assert (result.ids == np.arange(UNEVEN.vocab_size)).all()
        np.testing.assert_allclose(result.log_probs, expected, atol=ROUNDING)
        np.testing.assert_allclose(result.eos_log_probs, expected[..., EOS_INDEX], atol=ROUNDING)


def test_other_sentences_and_padding_change_no_bit(library, network):
    """Otherwise a prediction could depend on them where two hypotheses are close."""
    sources = some_sources(9, 7, seed=1)
    steps = CSteps(library, network, StepSizes(9, 3, MAX_LENGTH, 10, True))
    together = decode_random(steps, sources, 3, seed=2)
    wide = tuple(np.pad(array, ((0, 0), (0, 4))) for array in sources)
    for row in (0, 4, 8):
        steps.start(*(array[row : row + 1] for array in wide))
        ancestors = np.broadcast_to(np.arange(3, dtype=np.int32)[:, None], (1, 3, 1))
        ids, expected = together[0]
        alone = steps.step(0, np.arange(1), ids[row : row + 1, :, -1], ancestors)
        np.testing.assert_array_equal(alone.log_probs[0], expected.log_probs[row])
        np.testing.assert_array_equal(alone.ids[0], expected.ids[row])
        np.testing.assert_array_equal(alone.attention[0, :, :7], expected.attention[row])
        assert (alone.attention[0, :, 7:] == 0.0).all()


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_c_and_graphs_are_equal(library, activation):
    set_up_device(Config())
    network = Transformer(dataclasses.replace(UNEVEN, hidden_act=activation), operators("mindspore"))
    scramble(network)
    sources = some_sources(3, 7, seed=3)
    sizes = StepSizes(3, 2, MAX_LENGTH, 9, True)
    both = CSteps(library, network, sizes), GraphSteps(network, sizes)
    for (_, in_c), (_, in_graph) in zip(*(decode_random(steps, sources, 2, seed=4) for steps in both), strict=True):
        for name in ("log_probs", "eos_log_probs", "attention"):
            np.testing.assert_allclose(getattr(in_c, name), getattr(in_graph, name), atol=ROUNDING)
        np.testing.assert_array_equal(in_c.ids, in_graph.ids)


def test_refresh_reads_new_weights(library):
    set_up_device(Config())
    network = Transformer(UNEVEN, operators("mindspore"))
    steps = CSteps(library, network, StepSizes(2, 2, MAX_LENGTH, UNEVEN.vocab_size, False))
    sources = some_sources(2, 7, seed=5)
    before = decode_random(steps, sources, 2, seed=6)[1][1].log_probs
    scramble(network)
    steps.refresh()
    ids, after = decode_random(steps, sources, 2, seed=6)[1]
    assert np.abs(after.log_probs - before).max() > 0.1
    np.testing.assert_allclose(after.log_probs, expected_log_probs(network, sources, ids), atol=ROUNDING)


def test_errors(library, network, capfd):
    sizes = StepSizes(1, 1, MAX_LENGTH, 5, False)
    steps = CSteps(library, network, sizes)
    ids, *others = some_sources(1, 4, seed=7)
    with pytest.raises(MassError, match="out of range"):
        steps.start(np.full_like(ids, UNEVEN.vocab_size), *others)
    assert f"token id {UNEVEN.vocab_size}" in capfd.readouterr().err
    damaged = Transformer(UNEVEN, operators("mindspore"))
    gamma = damaged.decoder.norm.gamma
    gamma.set_data(Tensor(np.full(gamma.shape, np.nan, np.float32)))
    steps = CSteps(library, damaged, sizes)
    with pytest.raises(MassError, match="not finite"):
        decode_random(steps, (ids, *others), 1, seed=8)


def test_a_library_of_other_sources_is_refused(library, network, tmp_path):
    source = "long long struct_size(const char *name) { return 8; }"
    other = tmp_path / "other.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", other], input=source, text=True, check=True)
    with pytest.raises(MassError, match="structure Norm has 8 bytes, but 16 bytes are expected"):
        CSteps(str(other), network, StepSizes(1, 1, MAX_LENGTH, 5, False))


def test_steps_go_with_the_operators(network):
    sizes = StepSizes(1, 1, MAX_LENGTH, 5, False)
    assert isinstance(make_steps(network, sizes), GraphSteps)
    assert isinstance(make_steps(Transformer(UNEVEN, operators("c")), sizes), CSteps)


def test_sizes_are_not_exceeded(network):
    infer = TransformerForInfer(network, 2, SearchOptions(MAX_LENGTH, 1))
    with pytest.raises(ValueError, match="3 sentences"):
        infer.start(*some_sources(3, 4, seed=9))
    with pytest.raises(ValueError, match=f"position {MAX_LENGTH}"):
        infer.step(MAX_LENGTH, np.arange(1), *(np.zeros(shape, np.int32) for shape in ((1, 1), (1, 1, MAX_LENGTH + 1))))


@pytest.mark.parametrize("vocab_size, count", [(5, 5), (130, 1), (130, 129), (1000, 12)])
def test_top_k(library, vocab_size, count):
    """In descending order, of equal ones the lower id first; if all tokens are returned, in the order of their ids."""
    kernels = ctypes.CDLL(library)
    kernels.top_k.restype = ctypes.c_float
    for seed in range(20):
        logits = np.random.default_rng(seed).integers(-9, 9, vocab_size).astype(np.float32)  # many are equal
        values, ids = np.empty(count, np.float32), np.empty(count, np.int32)
        pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (logits, values, ids)]
        log_sum = kernels.top_k(pointers[0], ctypes.c_int64(vocab_size), ctypes.c_int64(count), *pointers[1:])
        expected = np.arange(vocab_size) if count == vocab_size else np.argsort(-logits, kind="stable")[:count]
        np.testing.assert_array_equal(ids, expected)
        np.testing.assert_allclose(values, logits[expected] - log_sum, rtol=1e-6)
        assert log_sum == pytest.approx(np.log(np.exp(logits.astype(np.float64)).sum()), rel=1e-5)


def test_aligned_memory():
    for count in (1, 7, 1000):
        array = aligned_floats(count)
        assert array.ctypes.data % 64 == 0 and array.shape == (count,) and array.dtype == np.float32
