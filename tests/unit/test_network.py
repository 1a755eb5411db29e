"""The network against its formulas: log-probabilities, loss, gradients, dropout."""
import dataclasses
import re

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, mutable, nn, ops
from mindspore import dtype as mstype

from config.config import Config
from src.dataset.batching.batch import Batch
from src.runtime.device import set_up_device
from src.transformer.embedding import Embedding
from src.transformer.label_smoothed_loss import LabelSmoothedLoss
from src.transformer.operators.c_operators import DropoutKernelCell
from src.transformer.transformer import Transformer
from src.transformer.transformer_for_train import TransformerForTrain
from tests.helpers.reference import log_probs, smoothed_losses
from tests.helpers.tiny_network import (
    IMPLEMENTATIONS,
    MODEL,
    ROUNDED,
    SHAPE,
    fine_tuning_batch,
    named_arrays,
    operators,
    packed_and_separate,
    pre_training_batch,
    scramble,
)

ROUNDING = 2e-5  # of float32 log-probabilities


class LogProbsAndLoss(nn.Cell):
    """The results that are compared, in one graph.

    Returns log-probabilities [batch, target_len, vocab_size], the sums of the smoothed loss and of the negative
    log-likelihood, and both for each token [2, batch, target_len].
    """

    def __init__(self, network: TransformerForTrain):
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, source_ids, source_positions, source_segments, source_mask, decoder_input_ids,
                  decoder_positions, decoder_segments, labels, dropout_seed):
        states = self.network.transformer(source_ids, source_positions, source_segments, source_mask,
                                          decoder_input_ids, decoder_positions, decoder_segments, dropout_seed)
        loss, nll = self.network.loss(states, ops.reshape(labels, (-1,)))
        token_losses = ops.stack(self.network.loss.row_losses(states, ops.reshape(labels, (-1,))))
        log_p = ops.log_softmax(self.network.transformer.embedding.logits(states), -1)
        return ops.reshape(log_p, (*labels.shape, -1)), loss, nll, ops.reshape(token_losses, (2, *labels.shape))


@pytest.fixture(scope="module", params=IMPLEMENTATIONS)
def compared(request):
    """The scrambled network in evaluation mode (without dropout), compiled once for batches of SHAPE."""
    set_up_device(Config())
    network = TransformerForTrain(MODEL, operators(request.param))
    scramble(network)
    return LogProbsAndLoss(network).set_train(False)


def run(cell: nn.Cell, batch: Batch, dropout_seed: tuple[int, int] = (0, 0)) -> list[np.ndarray]:
    inputs = mutable(tuple(map(Tensor, batch)))
    return [result.asnumpy() for result in cell(*inputs, Tensor(dropout_seed, mstype.int32))]


def expected_log_probs(weights: dict[str, np.ndarray], batch: Batch) -> np.ndarray:
    return log_probs(weights, MODEL.num_attention_heads, *batch[:-1])


@pytest.mark.parametrize("make_batch", [pre_training_batch, fine_tuning_batch])
@pytest.mark.parametrize("seed", [1, 2])
def test_network_computes_its_formula(compared, make_batch, seed):
    batch = make_batch(seed)
    assert 0 < np.count_nonzero(batch.labels) < batch.labels.size
    found, loss, nll, token_losses = run(compared, batch)
    expected = expected_log_probs(named_arrays(compared.network), batch)
    at_targets = batch.labels != 0
    np.testing.assert_allclose(found[at_targets], expected[at_targets], atol=ROUNDING)
    for total, values, smoothing in ((loss, token_losses[0], MODEL.label_smoothing), (nll, token_losses[1], 0.0)):
        losses = smoothed_losses(expected, batch.labels, smoothing)
        np.testing.assert_allclose(total, losses.sum(), rtol=ROUNDING)
        np.testing.assert_allclose(values[at_targets], losses, atol=ROUNDING)
        assert not values[~at_targets].any()


@pytest.mark.parametrize("kind", ["sentences", "pairs"])
def test_packed_examples_give_what_each_gives_alone(compared, kind):
    packed, places, separate = packed_and_separate(kind, seed=1)
    assert (packed.source_segments.max(axis=1) == [2, 3, 2, 1]).all() and packed.source_mask.sum() < packed.tokens
    found, *_, token_losses = run(compared, packed)
    expected = expected_log_probs(named_arrays(compared.network), packed)
    np.testing.assert_allclose(found[packed.labels != 0], expected[packed.labels != 0], atol=ROUNDING)
    alone = [run(compared, batch) for batch in separate]
    for row, place in zip(*np.nonzero(places >= 0), strict=True):
        batch, line = divmod(places[row, place], SHAPE.rows)
        packed_columns, columns = packed.decoder_segments[row] == place + 1, separate[batch].labels[line] != 0
        np.testing.assert_array_equal(packed.labels[row, packed_columns], separate[batch].labels[line, columns])
        np.testing.assert_allclose(found[row, packed_columns], alone[batch][0][line, columns], atol=ROUNDING)
        np.testing.assert_allclose(token_losses[:, row, packed_columns], alone[batch][3][:, line, columns],
                                   atol=ROUNDING)


def test_masked_tokens_do_not_matter(compared):
    """The predictions do not depend on the tokens at padding and at masked positions."""
    batch = pre_training_batch(seed=3)
    random_ids = np.random.default_rng(0).integers(5, MODEL.vocab_size, batch.source_ids.shape).astype(np.int32)
    other = batch._replace(
        source_ids=np.where(batch.source_mask, batch.source_ids, random_ids),
        decoder_input_ids=np.where(batch.decoder_segments, batch.decoder_input_ids, random_ids[:, : SHAPE.target_len]))
    assert (other.source_ids != batch.source_ids).any() and (other.decoder_input_ids != batch.decoder_input_ids).any()
    (found, *losses), (other_found, *other_losses) = run(compared, batch), run(compared, other)
    np.testing.assert_array_equal(found[batch.labels != 0], other_found[batch.labels != 0])
    for value, other_value in zip(losses, other_losses, strict=True):
        np.testing.assert_array_equal(value, other_value)


def padded_form(batch: Batch) -> Batch:
    """Return the batch with targets as long as the source, each token in the column of its position, else padding."""
    rows, columns = np.nonzero(batch.labels)
    wide = {name: np.zeros_like(batch.source_ids) for name in ("decoder_input_ids", "decoder_segments", "labels")}
    for name, array in wide.items():
        array[rows, batch.decoder_positions[rows, columns]] = getattr(batch, name)[rows, columns]
    positions = np.tile(np.arange(batch.source_ids.shape[1], dtype=np.int32), (len(batch.source_ids), 1))
    return batch._replace(decoder_positions=positions, **wide)


def test_compact_decoder_equals_padded_decoder(compared):
    batch = pre_training_batch(seed=4)
    padded = padded_form(batch)
    assert padded.labels.shape[1] == 2 * batch.labels.shape[1]
    (found, *losses, _), (wide, *wide_losses, _) = run(compared, batch), run(compared, padded)
    rows, columns = np.nonzero(batch.labels)
    np.testing.assert_allclose(found[rows, columns], wide[rows, batch.decoder_positions[rows, columns]], atol=ROUNDING)
    np.testing.assert_allclose(losses, wide_losses, rtol=ROUNDING)


def test_dropout_is_applied_in_training_only(compared):
    batch = fine_tuning_batch(seed=5)
    once, again = run(compared, batch)[0], run(compared, batch)[0]
    np.testing.assert_array_equal(once, again)
    compared.set_train(True)
    trained, trained_again = run(compared, batch, (1, 2))[0], run(compared, batch, (1, 3))[0]
    repeated = run(compared, batch, (1, 2))[0]
    compared.set_train(False)
    assert np.abs(trained - once).max() > 0.1 and np.abs(trained - trained_again).max() > 0.1
    if compared.network.transformer.operators.kernel_library:  # the masks of the C kernels depend on the seed alone
        np.testing.assert_array_equal(repeated, trained)
    np.testing.assert_array_equal(run(compared, batch)[0], once)


@pytest.mark.parametrize("implementation", (*IMPLEMENTATIONS, ROUNDED))
def test_dropout_is_applied_where_it_should_be(implementation):
    """hidden_dropout_prob: embeddings, hidden layers of the feed-forward networks and residual branches.

    attention_dropout_prob: attention weights.
    """
    model = dataclasses.replace(MODEL, hidden_dropout_prob=0.25, attention_dropout_prob=0.125)
    cells = dict(Transformer(model, operators(implementation)).cells_and_names())
    if implementation == "mindspore":
        found = {name.removesuffix(".dropout"): cell.p for name, cell in cells.items() if isinstance(cell, nn.Dropout)}
    else:
        found = {name: float(cell.dropout.asnumpy()[0]) for name, cell in cells.items()
                 if isinstance(cell, DropoutKernelCell)}
        sites = [int(cells[name].site.asnumpy()[0]) for name in found]
        assert len(set(sites)) == len(sites)
    found = {re.sub(r"(_attention\.attention)\..*", r"\1", name): dropout for name, dropout in found.items()}
    expected = {"embedding.source_lookup": 0.25, "embedding.target_lookup": 0.25}
    for side, attentions in (("encoder", ["self_attention"]), ("decoder", ["self_attention", "cross_attention"])):
        for layer in (f"{side}.layers.{i}." for i in range(MODEL.num_hidden_layers)):
            expected |= {f"{layer}{name}.attention": 0.125 for name in attentions}
            expected |= {f"{layer}{name}_residual.add": 0.25 for name in (*attentions, "feed_forward")}
            expected[f"{layer}feed_forward.activation"] = 0.25
    assert found == expected


@pytest.fixture(scope="module")
def gradients_of(compared):
    """A compiled function from a batch to the gradients of the loss by the names of the weights."""
    parameters = compared.network.trainable_params()
    differentiate = ms.value_and_grad(compared.network, None, ms.ParameterTuple(parameters), has_aux=True)
    names = [parameter.name.removeprefix("transformer.").removeprefix("loss.") for parameter in parameters]

    def gradients(batch: Batch) -> dict[str, np.ndarray]:
        _, found = differentiate(*mutable(tuple(map(Tensor, batch))), Tensor((0, 0), mstype.int32))
        return {name: gradient.asnumpy().astype(np.float64) for name, gradient in zip(names, found, strict=True)}

    return gradients


@pytest.fixture(scope="module")
def gradients(gradients_of):
    """A packed batch and its gradients."""
    batch = packed_and_separate("sentences", seed=6)[0]
    return batch, gradients_of(batch)


@pytest.mark.parametrize("kind", ["sentences", "pairs"])
def test_gradients_of_packed_rows_are_those_of_the_examples(gradients_of, kind):
    packed, _, separate = packed_and_separate(kind, seed=2)
    found, (one, other) = gradients_of(packed), map(gradients_of, separate)
    for name, gradient in found.items():
        size = 1e-5 * (1.0 + np.abs(gradient).max())
        np.testing.assert_allclose(gradient, one[name] + other[name], atol=size, err_msg=name)


def derivative(weights: dict[str, np.ndarray], direction: dict[str, np.ndarray], batch: Batch) -> float:
    """Return the central finite difference of the float64 loss along a direction."""
    size = 1e-6

    def loss(step: float) -> float:
        moved = {name: array.astype(np.float64) + step * direction.get(name, 0.0) for name, array in weights.items()}
        return smoothed_losses(expected_log_probs(moved, batch), batch.labels, MODEL.label_smoothing).sum()

    return (loss(size) - loss(-size)) / (2.0 * size)


def test_gradient_of_each_parameter(compared, gradients):
    """The derivative along a random direction of each parameter, then of all parameters together."""
    batch, found = gradients
    weights = named_arrays(compared.network)
    assert found.keys() == weights.keys()
    generator = np.random.default_rng(7)
    directions = {name: generator.normal(size=array.shape) for name, array in weights.items()}
    expected = {name: derivative(weights, {name: direction}, batch) for name, direction in directions.items()}
    for name, direction in directions.items():
        spread = np.linalg.norm(found[name])  # standard deviation of the derivative along a random direction
        along = np.sum(found[name] * direction)
        assert along == pytest.approx(expected[name], abs=1e-4 * spread + 1e-4), name
        # The bias of the keys adds the same to all scores of a query, which changes nothing. All others must matter.
        assert (spread < 1e-4) == name.endswith("key.bias"), name
    assert derivative(weights, directions, batch) == pytest.approx(sum(expected.values()), rel=1e-5)


def test_gradient_of_single_entries(compared, gradients):
    batch, found = gradients
    weights = named_arrays(compared.network)
    table = weights["embedding.table"]
    both_sides = np.intersect1d(batch.source_ids[batch.source_mask == 1], batch.labels)[-1]
    places = [("embedding.table", (row, 3)) for row in (0, 2, both_sides, len(table) - 1)]
    places += [("decoder.layers.1.cross_attention_norm.gamma", (5,)), ("encoder.norm.beta", (0,)),
               ("encoder.layers.0.feed_forward.fc1.bias", (2,)),
               ("decoder.layers.0.self_attention.query.weight", (9, 4))]
    for name, place in places:
        direction = np.zeros_like(weights[name], np.float64)
        direction[place] = 1.0
        expected = derivative(weights, {name: direction}, batch)
        assert found[name][place] == pytest.approx(expected, rel=1e-3, abs=1e-4), name


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_label_smoothed_loss_computes_its_formula(implementation, smoothing):
    set_up_device(Config())
    generator = np.random.default_rng(8)
    states, labels = generator.normal(size=(20, 16)).astype(np.float32), generator.integers(0, 31, 20).astype(np.int32)
    labels[[0, 7, 19]] = 0
    embedding = Embedding(MODEL, operators(implementation), init_seed=9)
    loss, nll = LabelSmoothedLoss(embedding, 31, smoothing, operators(implementation))(Tensor(states), Tensor(labels))
    logits = states.astype(np.float64) @ embedding.table.asnumpy().T.astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    np.testing.assert_allclose(loss.asnumpy(), smoothed_losses(log_p, labels, smoothing).sum(), rtol=1e-5)
    np.testing.assert_allclose(nll.asnumpy(), smoothed_losses(log_p, labels, 0.0).sum(), rtol=1e-5)
