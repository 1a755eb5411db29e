"""Names, shapes and initial values of the network's weights, and the table of position encodings."""
import dataclasses
import math

import numpy as np
import pytest

from src.checkpoints.load import network_arrays
from src.transformer.operators.mindspore_operators import MindSporeOperators
from src.transformer.positional_embedding import sinusoids
from src.transformer.transformer import Transformer
from src.transformer.transformer_for_train import TransformerForTrain
from src.utils.initializer import embedding_table, uniform_weights
from tests.helpers.tiny_network import MODEL


def expected_shapes(vocab_size: int, hidden: int, inner: int, layers: int) -> dict[str, tuple[int, ...]]:
    """Return the name and the shape of every weight, which checkpoints rely on."""
    shapes = {"embedding.table": (vocab_size, hidden)}
    for side, attentions in (("encoder", ["self_attention"]), ("decoder", ["self_attention", "cross_attention"])):
        for layer in (f"{side}.layers.{i}." for i in range(layers)):
            dense = {f"{name}.{part}": (hidden, hidden)
                     for name in attentions for part in ("query", "key", "value", "output")}
            dense |= {"feed_forward.fc1": (inner, hidden), "feed_forward.fc2": (hidden, inner)}
            for name, shape in dense.items():
                shapes |= {f"{layer}{name}.weight": shape, f"{layer}{name}.bias": shape[:1]}
            shapes |= {f"{layer}{name}_norm.{part}": (hidden,)
                       for name in (*attentions, "feed_forward") for part in ("gamma", "beta")}
        shapes |= {f"{side}.norm.gamma": (hidden,), f"{side}.norm.beta": (hidden,)}
    return shapes


@pytest.mark.parametrize("sizes", [{}, {"vocab_size": 40, "hidden_size": 12, "intermediate_size": 50,
                                        "num_hidden_layers": 3, "num_attention_heads": 3}])
def test_names_and_shapes_of_weights(sizes):
    model = dataclasses.replace(MODEL, **sizes)
    found = {name: array.shape for name, array in network_arrays(Transformer(model, MindSporeOperators())).items()}
    assert found == expected_shapes(model.vocab_size, model.hidden_size, model.intermediate_size,
                                    model.num_hidden_layers)


def test_weights_have_the_same_names_within_the_training_network():
    """Checkpoints are written from the training network and must fit the bare network."""
    found = network_arrays(TransformerForTrain(MODEL, MindSporeOperators()).transformer)
    assert found.keys() == network_arrays(Transformer(MODEL, MindSporeOperators())).keys()


def test_initial_values():
    arrays = network_arrays(Transformer(MODEL, MindSporeOperators()))
    table = arrays.pop("embedding.table")
    assert not table[0].any() and table[1:].any(axis=1).all()
    assert table[1:].std() == pytest.approx(MODEL.hidden_size**-0.5, rel=0.1)
    for name, array in arrays.items():
        if name.endswith(".weight"):
            limit = math.sqrt(3.0 / (sum(array.shape) / 2.0))
            assert 0.9 * limit < np.abs(array).max() <= np.float32(limit), name
        else:
            np.testing.assert_array_equal(array, 1.0 if name.endswith("gamma") else 0.0, err_msg=name)


def test_uniform_weights_fill_their_limits_evenly():
    weights = uniform_weights(300, 200, init_seed=1)
    assert weights.shape == (300, 200) and weights.dtype == np.float32
    limit = math.sqrt(3.0 / 250.0)
    assert np.abs(weights).max() <= np.float32(limit)
    assert abs(weights.mean()) < 0.01 * limit
    assert weights.var() == pytest.approx(limit**2 / 3.0, rel=0.02)


def test_embedding_deviation():
    for deviation, expected in ((0.0, 64**-0.5), (0.02, 0.02)):
        table = embedding_table(500, 64, deviation, init_seed=2)
        assert not table[0].any()
        assert table[1:].std() == pytest.approx(expected, rel=0.02) and abs(table[1:].mean()) < 0.02 * expected


def test_initial_values_depend_on_the_random_seed_alone():
    once, again = (network_arrays(Transformer(MODEL, MindSporeOperators())) for _ in range(2))
    model = dataclasses.replace(MODEL, random_seed=MODEL.random_seed + 1)
    other = network_arrays(Transformer(model, MindSporeOperators()))
    for name, array in once.items():
        np.testing.assert_array_equal(array, again[name])
        assert array.ndim == 1 or not np.isclose(array[1:], other[name][1:]).any(axis=1).all(), name


def test_no_two_weights_have_the_same_initial_values():
    """They must differ even when scaled: weights of different shapes drawn with one seed would differ in scale only."""
    model = dataclasses.replace(MODEL, num_hidden_layers=6)
    arrays = network_arrays(Transformer(model, MindSporeOperators()))
    starts = {name: array.ravel()[:4] / np.abs(array.ravel()[:4]).max()
              for name, array in arrays.items() if name.endswith(".weight")}
    assert len({tuple(np.round(start, 4)) for start in starts.values()}) == len(starts)


@pytest.mark.parametrize("hidden", [2, 8, 64])
def test_positions_are_sines_then_cosines(hidden):
    table, half = sinusoids(50, hidden), hidden // 2
    assert table.shape == (50, hidden) and table.dtype == np.float32
    np.testing.assert_allclose(table[:, :half] ** 2 + table[:, half:] ** 2, 1.0, atol=1e-6)
    np.testing.assert_array_equal(table[0], [0.0] * half + [1.0] * half)
    angles = np.arctan2(table[1, :half], table[1, half:])  # of position 1: the inverse timescales
    assert angles[0] == pytest.approx(1.0)
    if half > 1:
        assert angles[-1] == pytest.approx(1e-4, rel=1e-3)
        np.testing.assert_allclose(angles[1:] / angles[:-1], (angles[-1] / angles[0]) ** (1 / (half - 1)), rtol=1e-3)
