"""The network against its formulas: log-probabilities, loss, gradients, names and starting values of the weights."""
import dataclasses

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, mutable, nn, ops

from config.config import Config
from src.dataset.batch import Batch
from src.transformer import fast_gradients
from src.transformer.embedding import Embedding
from src.transformer.label_smoothed_loss import LabelSmoothedLoss
from src.transformer.transformer import Transformer
from src.transformer.transformer_for_train import TransformerForTrain
from src.utils.device import set_up_device
from tests.reference import log_probs, smoothed_losses
from tests.tiny_network import MODEL, SHAPE, fine_tuning_batch, named_arrays, pre_training_batch, scramble

ROUNDING = 2e-5  # of float32 log-probabilities


class LogProbsAndLoss(nn.Cell):
    """All that is compared, in one graph: log-probabilities [batch, target_len, vocab_size], loss and likelihood."""

    def __init__(self, network: TransformerForTrain):
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, source_ids, source_mask, decoder_input_ids, decoder_positions, decoder_mask, labels):
        states = self.network.transformer(source_ids, source_mask, decoder_input_ids, decoder_positions, decoder_mask)
        loss, nll = self.network.loss(states, ops.reshape(labels, (-1,)))
        log_p = ops.log_softmax(self.network.transformer.embedding.logits(states), -1)
        return ops.reshape(log_p, (*labels.shape, -1)), loss, nll


@pytest.fixture(scope="module")
def compared():
    """The scrambled network, with dropout that is not at work, behind one compiled function of a batch."""
    set_up_device(Config())
    network = TransformerForTrain(MODEL)
    scramble(network)
    return LogProbsAndLoss(network).set_train(False)


def run(cell: nn.Cell, batch: Batch) -> list[np.ndarray]:
    return [result.asnumpy() for result in cell(*mutable(tuple(map(Tensor, batch))))]


def expected_log_probs(weights: dict[str, np.ndarray], batch: Batch) -> np.ndarray:
    return log_probs(weights, MODEL.num_attention_heads, *batch[:-1])


@pytest.mark.parametrize("make_batch", [pre_training_batch, fine_tuning_batch])
@pytest.mark.parametrize("seed", [1, 2])
def test_network_computes_its_formula(compared, make_batch, seed):
    batch = make_batch(seed)
    assert 0 < np.count_nonzero(batch.labels) < batch.labels.size
    found, loss, nll = run(compared, batch)
    expected = expected_log_probs(named_arrays(compared.network), batch)
    at_targets = batch.labels != 0
    np.testing.assert_allclose(found[at_targets], expected[at_targets], atol=ROUNDING)
    for value, smoothing in ((loss, MODEL.label_smoothing), (nll, 0.0)):
        losses = smoothed_losses(expected, batch.labels, smoothing)
        np.testing.assert_allclose(value, losses.sum(), rtol=ROUNDING)


def test_hidden_symbols_do_not_matter(compared):
    """Targets are predicted the same, whatever stands at <pad> and hidden <mask>."""
    batch = pre_training_batch(seed=3)
    random_ids = np.random.default_rng(0).integers(5, MODEL.vocab_size, batch.source_ids.shape).astype(np.int32)
    other = batch._replace(
        source_ids=np.where(batch.source_mask, batch.source_ids, random_ids),
        decoder_input_ids=np.where(batch.decoder_mask, batch.decoder_input_ids, random_ids[:, : SHAPE.target_len]))
    assert (other.source_ids != batch.source_ids).any() and (other.decoder_input_ids != batch.decoder_input_ids).any()
    (found, *losses), (other_found, *other_losses) = run(compared, batch), run(compared, other)
    np.testing.assert_array_equal(found[batch.labels != 0], other_found[batch.labels != 0])
    np.testing.assert_array_equal(losses, other_losses)


def padded_form(batch: Batch) -> Batch:
    """The decoder's side at the full source length: each symbol in the column of its position, hidden elsewhere."""
    rows, columns = np.nonzero(batch.labels)
    wide = {name: np.zeros_like(batch.source_ids) for name in ("decoder_input_ids", "decoder_mask", "labels")}
    for name, array in wide.items():
        array[rows, batch.decoder_positions[rows, columns]] = getattr(batch, name)[rows, columns]
    positions = np.tile(np.arange(batch.source_ids.shape[1], dtype=np.int32), (len(batch.source_ids), 1))
    return batch._replace(decoder_positions=positions, **wide)


def test_compact_decoder_equals_padded_decoder(compared):
    batch = pre_training_batch(seed=4)
    padded = padded_form(batch)
    assert padded.labels.shape[1] == 2 * batch.labels.shape[1]
    (found, *losses), (wide, *wide_losses) = run(compared, batch), run(compared, padded)
    rows, columns = np.nonzero(batch.labels)
    np.testing.assert_allclose(found[rows, columns], wide[rows, batch.decoder_positions[rows, columns]], atol=ROUNDING)
    np.testing.assert_allclose(losses, wide_losses, rtol=ROUNDING)


def test_dropout_is_at_work_in_training_only(compared):
    batch = fine_tuning_batch(seed=5)
    once, again = run(compared, batch)[0], run(compared, batch)[0]
    np.testing.assert_array_equal(once, again)
    compared.set_train(True)
    trained, trained_again = run(compared, batch)[0], run(compared, batch)[0]
    compared.set_train(False)
    assert np.abs(trained - once).max() > 0.1 and np.abs(trained - trained_again).max() > 0.1
    np.testing.assert_array_equal(run(compared, batch)[0], once)


def test_dropout_stands_where_it_should():
    """With one probability on embeddings, feed-forward hidden and residual branches, another on attention weights."""
    model = dataclasses.replace(MODEL, hidden_dropout_prob=0.25, attention_dropout_prob=0.125)
    found = {name: cell.p for name, cell in Transformer(model).cells_and_names() if isinstance(cell, nn.Dropout)}
    expected = {"dropout": 0.25}
    for side, attentions in (("encoder", ["attention"]), ("decoder", ["attention", "cross_attention"])):
        for layer in (f"{side}.layers.{i}." for i in range(MODEL.num_hidden_layers)):
            expected |= {f"{layer}{name}.dropout": 0.125 for name in attentions}
            expected |= {f"{layer}{name}_frame.dropout": 0.25 for name in (*attentions, "feed_forward")}
            expected[f"{layer}feed_forward.dropout"] = 0.25
    assert found == expected


@pytest.fixture(scope="module")
def gradients(compared):
    """A batch and the loss' gradients by name, from the compiled network."""
    parameters = compared.network.trainable_params()
    batch = pre_training_batch(seed=6)
    differentiate = ms.value_and_grad(compared.network, None, ms.ParameterTuple(parameters), has_aux=True)
    _, found = differentiate(*mutable(tuple(map(Tensor, batch))))
    names = (parameter.name.removeprefix("transformer.").removeprefix("loss.") for parameter in parameters)
    return batch, {name: gradient.asnumpy().astype(np.float64) for name, gradient in zip(names, found, strict=True)}


def slope(weights: dict[str, np.ndarray], direction: dict[str, np.ndarray], batch: Batch) -> float:
    """Central finite difference of the float64 loss along a direction."""
    size = 1e-6

    def loss(step: float) -> float:
        moved = {name: array.astype(np.float64) + step * direction.get(name, 0.0) for name, array in weights.items()}
        return smoothed_losses(expected_log_probs(moved, batch), batch.labels, MODEL.label_smoothing).sum()

    return (loss(size) - loss(-size)) / (2.0 * size)


def test_gradient_of_each_parameter(compared, gradients):
    """Along a random direction of each parameter alone, then of all together."""
    batch, found = gradients
    weights = named_arrays(compared.network)
    assert found.keys() == weights.keys()
    generator = np.random.default_rng(7)
    directions = {name: generator.normal(size=array.shape) for name, array in weights.items()}
    expected = {name: slope(weights, {name: direction}, batch) for name, direction in directions.items()}
    for name, direction in directions.items():
        spread = np.linalg.norm(found[name])  # the size of a random direction's slope
        along = np.sum(found[name] * direction)
        assert along == pytest.approx(expected[name], abs=1e-4 * spread + 1e-4), name
        # A bias of the keys moves all scores of a query alike, and so nothing; all else must matter.
        assert (spread < 1e-4) == name.endswith("key.bias"), name
    assert slope(weights, directions, batch) == pytest.approx(sum(expected.values()), rel=1e-5)


def test_gradient_of_single_entries(compared, gradients):
    batch, found = gradients
    weights = named_arrays(compared.network)
    table = weights["embedding.table"]
    both_sides = np.intersect1d(batch.source_ids[batch.source_mask == 1], batch.labels)[-1]
    places = [("embedding.table", (row, 3)) for row in (0, 2, both_sides, len(table) - 1)]
    places += [("decoder.layers.1.cross_attention_frame.norm.gamma", (5,)), ("encoder.norm.beta", (0,)),
               ("encoder.layers.0.feed_forward.expand.bias", (2,)), ("decoder.layers.0.attention.query.weight", (9, 4))]
    for name, place in places:
        direction = np.zeros_like(weights[name], np.float64)
        direction[place] = 1.0
        assert found[name][place] == pytest.approx(slope(weights, {name: direction}, batch), rel=1e-3, abs=1e-4), name


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_label_smoothed_loss_is_its_formula(smoothing):
    set_up_device(Config())
    generator = np.random.default_rng(8)
    states, labels = generator.normal(size=(20, 16)).astype(np.float32), generator.integers(0, 31, 20).astype(np.int32)
    labels[[0, 7, 19]] = 0
    embedding = Embedding(31, 16, 0.0, seed=9)
    loss, nll = LabelSmoothedLoss(embedding, 31, smoothing)(Tensor(states), Tensor(labels))
    logits = states.astype(np.float64) @ embedding.table.asnumpy().T.astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    np.testing.assert_allclose(loss.asnumpy(), smoothed_losses(log_p, labels, smoothing).sum(), rtol=1e-5)
    np.testing.assert_allclose(nll.asnumpy(), smoothed_losses(log_p, labels, 0.0).sum(), rtol=1e-5)


class PlainAddBias(nn.Cell):
    def construct(self, x, bias):
        return x + bias


class PlainScaleShift(nn.Cell):
    def construct(self, x, scale, shift):
        return x * scale + shift


class PlainStandardize(nn.Cell):
    def construct(self, x):
        centred = x - x.mean(-1, keep_dims=True)
        return centred / ops.sqrt((centred * centred).mean(-1, keep_dims=True) + 1e-5)


class PlainLogSumExp(nn.Cell):
    def construct(self, x):
        return ops.log(ops.exp(x).sum(-1))


class WeightedSum(nn.Cell):
    """A scalar to differentiate, for which each entry of the result counts differently."""

    def __init__(self, function: nn.Cell):
        super().__init__()
        self.function = function

    def construct(self, weights, *inputs):
        result = self.function(*inputs)
        if isinstance(result, tuple):
            result = result[0]
        return ops.sum(weights * result)


FORMS = {"AddBias": (fast_gradients.AddBias, PlainAddBias, [(7, 5), (5,)]),
         "ScaleShift": (fast_gradients.ScaleShift, PlainScaleShift, [(7, 5), (5,), (5,)]),
         "Standardize": (lambda: fast_gradients.Standardize(1e-5), PlainStandardize, [(7, 5)]),
         "LogSumExp": (fast_gradients.LogSumExp, PlainLogSumExp, [(7, 5)])}


@pytest.mark.parametrize("name", FORMS)
def test_hand_written_gradient_is_that_of_the_plain_form(name):
    set_up_device(Config())
    written, plain, sizes = FORMS[name]
    generator = np.random.default_rng(10)
    inputs = [Tensor(generator.normal(size=size).astype(np.float32)) for size in sizes]
    weights = Tensor(generator.normal(size=7 if name == "LogSumExp" else (7, 5)).astype(np.float32))
    positions = tuple(range(1, len(inputs) + 1))
    (found, found_slopes), (expected, expected_slopes) = (
        ms.value_and_grad(WeightedSum(form()), positions)(weights, *inputs) for form in (written, plain))
    np.testing.assert_allclose(found.asnumpy(), expected.asnumpy(), rtol=1e-5)
    for slopes in zip(found_slopes, expected_slopes, strict=True):
        np.testing.assert_allclose(*(slope.asnumpy() for slope in slopes), rtol=1e-4, atol=1e-5)
