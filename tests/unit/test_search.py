"""The network in the search: cached steps equal teacher forcing, and predictions depend on their sentence alone."""
import numpy as np
import pytest

from config.config import Config
from src.dataset.batching.collate import source_mask
from src.inference.generation import generate_batch
from src.runtime.device import set_up_device
from src.transformer.decoding.options import SearchOptions
from src.transformer.transformer import Transformer
from src.transformer.transformer_for_infer import TransformerForInfer
from src.utils.dictionary import BOS_INDEX, EOS_INDEX, MASK_INDEX, PAD_INDEX
from tests.helpers.reference import log_probs
from tests.helpers.tiny_network import IMPLEMENTATIONS, MODEL, named_arrays, operators, scramble, sentences

BATCH, BEAM_WIDTH, MAX_LENGTH = 3, 3, 6
OPTIONS = SearchOptions(MAX_LENGTH, BEAM_WIDTH, n_best=BEAM_WIDTH, attention=True)
CANDIDATES = 2 * BEAM_WIDTH + 3  # those that are ranked, and <pad>, <s>, <mask>
ROUNDING = 2e-5


@pytest.fixture(scope="module", params=IMPLEMENTATIONS)
def network(request):
    set_up_device(Config())
    network = Transformer(MODEL, operators(request.param))
    scramble(network)
    return network


@pytest.fixture(scope="module")
def infer(network):
    return TransformerForInfer(network, BATCH, OPTIONS)


def teacher_forcing(network: Transformer, source_ids: np.ndarray, mask: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Return log-probabilities [rows, length, vocab_size] by the formulas, for decoder inputs [rows, length]."""
    positions = np.broadcast_to(np.arange(inputs.shape[1]), inputs.shape)
    return log_probs(named_arrays(network), MODEL.num_attention_heads, *sources(source_ids, mask), inputs, positions,
                     np.ones_like(inputs))


def sources(source_ids: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return ids, positions, segments and mask of a batch with one sentence in a row."""
    segments = (source_ids != PAD_INDEX).astype(np.int32)
    return source_ids, segments * np.arange(source_ids.shape[1], dtype=np.int32), segments, mask


def padded_sources(lengths: list[int], source_len: int, seed: int) -> np.ndarray:
    return sentences(lengths, seed).padded(np.arange(len(lengths)), source_len)


def forced_hypotheses(generator: np.random.Generator):
    """Yield (sentences, ids, ancestors) of random hypotheses, step by step.

    ids and ancestors are [sentences, beam_width, position + 1] int32. One sentence is left out after half of the steps.
    """
    ids = np.full((BATCH, BEAM_WIDTH, 1), BOS_INDEX, np.int32)
    ancestors = np.tile(np.arange(BEAM_WIDTH, dtype=np.int32)[:, None], (BATCH, 1, 1))
    own = ancestors
    yield np.arange(BATCH), ids, ancestors
    for position in range(1, MAX_LENGTH):
        parents = generator.integers(0, BEAM_WIDTH, (BATCH, BEAM_WIDTH, 1))
        tokens = generator.integers(EOS_INDEX, MODEL.vocab_size, (BATCH, BEAM_WIDTH, 1)).astype(np.int32)
        ids = np.concatenate([np.take_along_axis(ids, parents, axis=1), tokens], axis=2)
        ancestors = np.concatenate([np.take_along_axis(ancestors, parents, axis=1), own], axis=2)
        sentences = np.delete(np.arange(BATCH), 1) if 2 * position >= MAX_LENGTH else np.arange(BATCH)
        yield sentences, ids[sentences], ancestors[sentences]


def test_cached_steps_equal_teacher_forcing(network, infer):
    """Three batches are decoded in turn, so that nothing of an earlier one may be left in the caches."""
    for seed, lengths in enumerate([[6, 3, 1], [2, 6, 5], [4, 4, 6]]):
        generator = np.random.default_rng(seed)
        source_ids = padded_sources(lengths, 6, seed)
        source_ids[2, 0] = MASK_INDEX if lengths[2] > 1 else source_ids[2, 0]
        mask = source_mask(source_ids, attend_to_masks=False)
        infer.start(*sources(source_ids, mask))
        for position, (rows, ids, ancestors) in enumerate(forced_hypotheses(generator)):
            result = infer.step(position, rows, np.ascontiguousarray(ids[:, :, -1]), ancestors)
            one_a_row = (np.repeat(array[rows], BEAM_WIDTH, axis=0) for array in (source_ids, mask))
            expected = teacher_forcing(network, *one_a_row, ids.reshape(len(rows) * BEAM_WIDTH, -1))[:, -1]
            assert_most_probable(result, expected.reshape(len(rows), BEAM_WIDTH, -1))
            assert_attention(result.attention, mask[rows])


def assert_most_probable(result, expected: np.ndarray) -> None:
    """Assert that the candidates are the most probable tokens; `expected` is [batch, beam_width, vocab_size]."""
    assert result.ids.shape == result.log_probs.shape == (*expected.shape[:2], CANDIDATES)
    best = np.sort(expected, axis=-1)[..., : -CANDIDATES - 1 : -1]
    at_ids = np.take_along_axis(expected, result.ids, axis=-1)
    np.testing.assert_allclose(-np.sort(-at_ids, axis=-1), best, atol=ROUNDING)
    np.testing.assert_allclose(result.log_probs, at_ids, atol=ROUNDING)
    np.testing.assert_allclose(result.eos_log_probs, expected[..., EOS_INDEX], atol=ROUNDING)


def assert_attention(attention: np.ndarray, mask: np.ndarray) -> None:
    """Assert that weights [sentences, beam_width, source_len] sum to 1 over the tokens that are not masked."""
    masked = np.broadcast_to(mask[:, None] == 0, attention.shape)
    assert (attention >= 0.0).all() and (attention[masked] == 0.0).all()
    np.testing.assert_allclose(attention.sum(-1), 1.0, atol=ROUNDING)


def predict(infer, source_ids: np.ndarray):
    return generate_batch(infer, *sources(source_ids, source_mask(source_ids, attend_to_masks=False)))


def test_log_prob_of_a_prediction_equals_teacher_forcing(network, infer):
    source_ids = padded_sources([6, 4, 2], 6, seed=4)
    for row, hypotheses in enumerate(predict(infer, source_ids)):
        assert len(hypotheses) == BEAM_WIDTH
        for hypothesis in hypotheses:
            inputs = np.array([[BOS_INDEX, *hypothesis.ids[:-1]]])
            source = source_ids[row : row + 1]
            expected = teacher_forcing(network, source, source_mask(source, False), inputs)[0]
            total = expected[np.arange(len(hypothesis.ids)), hypothesis.ids].sum()
            assert hypothesis.log_prob == pytest.approx(total, abs=1e-4)
            assert hypothesis.score == pytest.approx(total / ((5 + len(hypothesis.ids)) / 6), abs=1e-4)


def test_predictions_do_not_depend_on_other_sentences_or_padding(infer):
    """The same sentence in a batch with others, alone, in another row, and padded to another length."""
    first, *others = padded_sources([4, 5, 3, 1], 6, seed=5)
    wanted = predict(infer, np.stack([first, others[0], others[1]]))[0]
    found = [predict(infer, first[None])[0], predict(infer, np.stack([others[2], first, first]))[1],
             predict(infer, np.pad(np.stack([others[1], others[0], first]), ((0, 0), (0, 3))))[2]]
    for hypotheses in found:
        assert [hypothesis.ids for hypothesis in hypotheses] == [hypothesis.ids for hypothesis in wanted]
        np.testing.assert_allclose([hypothesis.score for hypothesis in hypotheses],
                                   [hypothesis.score for hypothesis in wanted], atol=1e-4)


def test_predictions_depend_on_the_source(infer):
    """Otherwise the tests above would pass for a network that ignores its source."""
    one, two, three = (hypotheses[0] for hypotheses in predict(infer, padded_sources([4, 5, 3], 6, seed=6)))
    assert len({round(hypothesis.log_prob, 3) for hypothesis in (one, two, three)}) == 3
