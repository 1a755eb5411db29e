"""Constraints, sampling and attention: each against its formula, and in searches over toy languages."""
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.config import Config, ModelConfig
from src.common.errors import UsageError
from src.transformer.beam_search import beam_search
from src.transformer.decoding.constraints import (
    ForbiddenTokens,
    MinimumLength,
    NoRepeatedNgram,
    candidates_needed,
    constraints_of,
)
from src.transformer.decoding.interface import StepResult
from src.transformer.decoding.options import Sampling, SearchOptions
from src.transformer.decoding.sampling import (
    at_temperature,
    draw,
    keep_top_k,
    keep_top_p,
    sample,
    sampling_log_probs,
    sentence_keys,
)
from src.utils.dictionary import BOS_INDEX, EOS_INDEX, UNK_INDEX
from tests.helpers.toy_language import TOKENS, VOCAB, ToyLanguage, ToyStep


def all_tokens(batch: int, width: int) -> StepResult:
    """Return candidates that are the whole vocabulary, none of it forbidden."""
    ids = np.broadcast_to(np.arange(VOCAB, dtype=np.int32), (batch, width, VOCAB))
    return StepResult(np.zeros(ids.shape, np.float32), ids, np.zeros(ids.shape[:2], np.float32), None)


def forbidden_by(constraint, ids: tuple[int, ...]) -> set[int]:
    """Return the tokens that a constraint forbids after a hypothesis."""
    live_ids = np.array([[[BOS_INDEX, *ids]]], np.int32)
    result = constraint(live_ids, all_tokens(1, 1))
    assert (np.isfinite(result.log_probs) <= (result.log_probs == 0.0)).all()  # -inf or as it was
    return set(result.ids[result.log_probs == -np.inf].tolist())


def repeats_ngram(ids: tuple[int, ...], size: int) -> bool:
    ngrams = [ids[i : i + size] for i in range(len(ids) - size + 1)]
    return len(set(ngrams)) < len(ngrams)


@given(st.lists(st.sampled_from(TOKENS), max_size=9), st.integers(1, 4))
def test_no_repeated_ngram_forbids_tokens_that_repeat_one(ids, size):
    ids = tuple(ids)
    constraint = NoRepeatedNgram(size, max_length=len(ids) + 2)
    found = forbidden_by(constraint, ids)
    continuations = {token: (*ids, token) for token in range(VOCAB) if token != EOS_INDEX}
    expected = {token for token, longer in continuations.items()
                if any(longer[i : i + size] == longer[-size:] for i in range(len(ids) + 1 - size))}
    assert found == expected
    assert len(found) <= constraint.max_forbidden


def test_repetitions_are_forbidden_within_each_hypothesis():
    live_ids = np.array([[[BOS_INDEX, 5, 6, 5], [BOS_INDEX, 6, 6, 6]], [[BOS_INDEX, 3, 5, 6], [BOS_INDEX, 5, 5, 3]]])
    result = NoRepeatedNgram(2, 8)(live_ids, all_tokens(2, 2))
    assert [[set(np.flatnonzero(beam == -np.inf)) for beam in sentence] for sentence in result.log_probs] == [
        [{6}, {6}], [set(), set()]]


@pytest.mark.parametrize("length", [1, 2, 4])
def test_minimum_length_includes_the_end(length):
    for count in range(5):
        expected = {EOS_INDEX} if count + 1 < length else set()
        assert forbidden_by(MinimumLength(length), (5,) * count) == expected


def test_forbidden_tokens():
    constraint = ForbiddenTokens((0, UNK_INDEX))
    assert forbidden_by(constraint, (5, 6)) == {0, UNK_INDEX} and constraint.max_forbidden == 2


def allowed(ids: tuple[int, ...], options: SearchOptions) -> bool:
    """Return whether the constraints allow a prediction."""
    return (len(ids) >= options.min_length and not (options.ban_unk and UNK_INDEX in ids)
            and not (options.no_repeat_ngram_size and repeats_ngram(ids, options.no_repeat_ngram_size)))


@pytest.mark.parametrize("options", [{"min_length": 4}, {"ban_unk": True}, {"no_repeat_ngram_size": 1},
                                     {"no_repeat_ngram_size": 2, "min_length": 3, "ban_unk": True}], ids=str)
def test_wide_beam_finds_the_best_allowed_predictions(options):
    options = SearchOptions(5, 300, 4, **options)
    languages = [ToyLanguage(seed) for seed in range(4)]
    sequences = [(*ids, EOS_INDEX) for count in range(5) for ids in itertools.product(TOKENS, repeat=count)]
    sequences = [ids for ids in sequences if allowed(ids, options)]
    for language, found in zip(languages, beam_search(ToyStep(languages), 4, options), strict=True):
        best = sorted(sequences, key=lambda ids: -language.log_prob(ids) / ((5 + len(ids)) / 6))  # noqa: B023
        assert [hypothesis.ids for hypothesis in found] == best[:4]


@pytest.mark.parametrize("beam_width", [1, 2])
@pytest.mark.parametrize("options", [{}, {"min_length": 5}, {"ban_unk": True},
                                     {"no_repeat_ngram_size": 3, "min_length": 4}], ids=str)
def test_candidates_needed_are_enough(options, beam_width):
    """The hypotheses are the same as with the whole vocabulary as candidates."""
    options = SearchOptions(6, beam_width, beam_width, **options)
    languages = [ToyLanguage(seed, eos_bonus=0.5) for seed in range(80, 100)]
    few = ToyStep(languages, candidates_needed(options, VOCAB))
    assert few.candidates < VOCAB or beam_width > 1 or options.no_repeat_ngram_size
    assert beam_search(few, 20, options) == beam_search(ToyStep(languages), 20, options)


def test_candidates_needed():
    """Those that are ranked, <pad>, <s>, <mask>, and others that may be forbidden; at most the whole vocabulary."""
    assert candidates_needed(SearchOptions(9, 4), 1000) == 8 + 3
    assert candidates_needed(SearchOptions(9, 4, ban_unk=True, min_length=2), 1000) == 8 + 4 + 1
    assert candidates_needed(SearchOptions(9, 4, no_repeat_ngram_size=3), 1000) == 8 + 3 + 5
    assert candidates_needed(SearchOptions(9, 4, no_repeat_ngram_size=1), 1000) == 8 + 3 + 8
    assert candidates_needed(SearchOptions(9, 4), 10) == 10
    assert candidates_needed(SearchOptions(9, sampling=Sampling()), 1000) == 1000
    assert candidates_needed(SearchOptions(9, sampling=Sampling(top_k=5)), 1000) == 5 + 3


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_no_more_tokens_are_forbidden_than_the_bound_says(size):
    """For every sequence of up to nine tokens, of three kinds, that holds no n-gram twice."""
    most = {length: 0 for length in range(10)}
    allowed = [()]
    for length in range(1, 10):
        longer = [(*sequence, token) for sequence in allowed for token in range(3)]
        allowed = [sequence for sequence in longer if len(set(ngrams_of(sequence, size))) == length - size + 1
                   or length < size]
        for sequence in allowed:
            latest = sequence[length - size + 1 :]
            most[length] = max(most[length], len({ngram[-1] for ngram in ngrams_of(sequence, size)
                                                  if ngram[:-1] == latest}))
    for length, found in most.items():
        assert found <= NoRepeatedNgram(size, length + 1).max_forbidden


def ngrams_of(sequence, size):
    return [sequence[first : first + size] for first in range(len(sequence) - size + 1)]


def test_no_hypothesis_finishes_if_constraints_forbid_all():
    options = SearchOptions(9, 2, min_length=8, no_repeat_ngram_size=1)  # three tokens cannot make seven
    assert beam_search(ToyStep([ToyLanguage(1)]), 1, options) == [[]]


def some_log_probs(seed: int, *shape: int) -> np.ndarray:
    return np.log(np.random.default_rng(seed).dirichlet(np.ones(shape[-1]), shape[:-1]))


def test_temperature():
    log_probs = some_log_probs(1, 6)
    np.testing.assert_allclose(np.exp(at_temperature(log_probs, 0.5)), np.exp(log_probs) ** 2)


@pytest.mark.parametrize("count", [1, 3, 8, 20])
def test_top_k_keeps_the_largest(count):
    log_probs = some_log_probs(2, 4, 8)
    for before, after in zip(log_probs, keep_top_k(log_probs, count), strict=True):
        kept = sorted(range(8), key=lambda i: -before[i])[:count]
        assert all(after[i] == (before[i] if i in kept else -np.inf) for i in range(8))


@pytest.mark.parametrize("mass", [0.05, 0.4, 0.8, 0.999])
def test_top_p_keeps_the_smallest_set_that_reaches_it(mass):
    log_probs = some_log_probs(3, 30, 9) - 1.7  # not normalized
    for before, after in zip(log_probs, keep_top_p(log_probs, mass), strict=True):
        descending = sorted(range(9), key=lambda i: -before[i])
        reached, kept = 0.0, []
        while reached < mass:
            kept.append(descending[len(kept)])
            reached += math.exp(before[kept[-1]] + 1.7)
        assert all(after[i] == (before[i] if i in kept else -np.inf) for i in range(9))


def test_top_p_comes_after_top_k():
    """The first two of the three that top-k keeps have 0.6 of their probability."""
    log_probs = np.log([0.3, 0.25, 0.2, 0.15, 0.1])
    assert np.isfinite(sampling_log_probs(log_probs, Sampling(top_k=3, top_p=0.6))).tolist() == [True] * 2 + [False] * 3
    assert np.isfinite(sampling_log_probs(log_probs, Sampling(top_p=0.6))).tolist() == [True] * 3 + [False] * 2


@given(st.lists(st.one_of(st.just(0.0), st.floats(0.01, 5.0)), min_size=1, max_size=8).filter(any),
       st.floats(0.0, 1.0, exclude_max=True))
def test_draw_inverts_the_cumulative_distribution(weights, uniform):
    with np.errstate(divide="ignore"):
        chosen = int(draw(np.log(weights), np.array(uniform)))
    assert weights[chosen] > 0.0
    assert sum(weights[:chosen]) <= uniform * sum(weights) * (1 + 1e-9) + 1e-12
    assert sum(weights[: chosen + 1]) >= uniform * sum(weights) * (1 - 1e-9)


def sampled(languages: list[ToyLanguage], keys: list[int], count: int, max_length: int = 6, **options):
    search = SearchOptions(max_length, n_best=count, **options)
    return sample(ToyStep(languages), np.array(keys, np.uint64), search)


def test_samples_follow_the_distribution():
    """Frequencies of the first token are within five standard deviations."""
    language, count = ToyLanguage(7, eos_bonus=1.0), 3000
    predictions = sampled([language], [12], count, max_length=2, sampling=Sampling(temperature=0.7))[0]
    weights = np.exp(language.next(()) / 0.7)
    weights[[token for token in range(VOCAB) if token not in (*TOKENS, EOS_INDEX)]] = 0.0
    expected = weights / weights.sum()
    found = np.bincount([prediction.ids[0] for prediction in predictions], minlength=VOCAB) / count
    assert (np.abs(found - expected) <= 5 * np.sqrt(expected * (1 - expected) / count)).all()


def test_samples_do_not_depend_on_other_sentences_or_order():
    languages, keys = [ToyLanguage(seed) for seed in range(5)], [11, 12, 13, 14, 15]
    together = sampled(languages, keys, 3, sampling=Sampling(seed=4))
    assert sampled(languages[::-1], keys[::-1], 3, sampling=Sampling(seed=4)) == together[::-1]
    for language, key, predictions in zip(languages, keys, together, strict=True):
        assert sampled([language], [key], 3, sampling=Sampling(seed=4)) == [predictions]
    assert sampled(languages, keys, 3, sampling=Sampling(seed=5)) != together


def test_scores_of_samples_are_those_of_the_network():
    languages = [ToyLanguage(seed) for seed in range(3)]
    found = sampled(languages, [1, 2, 3], 4, sampling=Sampling(0.5, 2, 0.9))
    for language, predictions in zip(languages, found, strict=True):
        assert len(predictions) == 4
        scores = [prediction.score for prediction in predictions]
        assert scores == sorted(scores, reverse=True)
        for prediction in predictions:
            assert prediction.ids[-1] == EOS_INDEX and len(prediction.ids) <= 6
            assert prediction.log_prob == pytest.approx(language.log_prob(prediction.ids))
            assert prediction.score == pytest.approx(prediction.log_prob / ((5 + len(prediction.ids)) / 6))


@pytest.mark.parametrize("sampling", [Sampling(top_k=1), Sampling(temperature=1e-3), Sampling(top_p=1e-6)], ids=str)
def test_sampling_the_most_probable_token_is_greedy_decoding(sampling):
    languages = [ToyLanguage(seed, eos_bonus=-1.0) for seed in range(8)]
    greedy = beam_search(ToyStep(languages), 8, SearchOptions(6, 1, length_penalty_weight=0.0))
    found = sampled(languages, list(range(8)), 1, length_penalty_weight=0.0, sampling=sampling)
    assert [predictions[0].ids for predictions in found] == [predictions[0].ids for predictions in greedy]


def test_samples_obey_constraints():
    languages = [ToyLanguage(seed, eos_bonus=1.0) for seed in range(10)]
    options = {"min_length": 4, "no_repeat_ngram_size": 2, "ban_unk": True}
    for predictions in sampled(languages, list(range(10)), 5, sampling=Sampling(), **options):
        assert len(predictions) == 5
        assert all(allowed(prediction.ids, SearchOptions(6, **options)) for prediction in predictions)


def test_keys_of_sentences_depend_on_their_tokens_alone():
    keys = sentence_keys(np.array([[5, 6, 2, 0], [5, 6, 2, 0], [6, 5, 2, 0], [5, 6, 6, 2]]))
    assert keys[0] == keys[1] and len(set(keys.tolist())) == 3
    assert sentence_keys(np.array([[5, 6, 2]]))[0] == keys[0]  # padding does not matter


@pytest.mark.parametrize("sampling", [None, Sampling()], ids=["beam", "sample"])
def test_attention_follows_the_ancestors_of_a_hypothesis(sampling):
    languages = [ToyLanguage(seed, eos_bonus=bonus) for seed, bonus in enumerate([0.0, 3.0, -1.0])]
    options = SearchOptions(5, 3, 3, attention=True, sampling=sampling)
    step = ToyStep(languages, attention=True)
    found = sample(step, np.arange(3, dtype=np.uint64), options) if sampling else beam_search(step, 3, options)
    for language, predictions in zip(languages, found, strict=True):
        assert len(predictions) == 3
        for prediction in predictions:
            expected = [np.exp(language.next(prediction.ids[:i])) for i in range(len(prediction.ids))]
            np.testing.assert_allclose(prediction.attention, expected, rtol=1e-6)


def test_options_come_from_the_configuration():
    model = ModelConfig(beam_width=3, n_best=2, max_decode_length=20, min_decode_length=2, length_penalty_weight=0.5,
                        no_repeat_ngram_size=3, ban_unk=True)
    assert SearchOptions.from_config(model) == SearchOptions(20, 3, 2, 2, 0.5, 3, True, False, None)
    sampling = ModelConfig(decode_strategy="sample", n_best=7, temperature=0.5, top_k=9, top_p=0.8, sampling_seed=6,
                           copy_unk=True)
    options = SearchOptions.from_config(sampling)
    assert options.sampling == Sampling(0.5, 9, 0.8, 6) and options.width == 7 and options.attention
    assert len(constraints_of(options)) == 1


@pytest.mark.parametrize("keys, named", [
    ({"min_decode_length": 65}, "max_decode_length"), ({"n_best": 5}, "beam_width"), ({"beam_width": 50000}, "50000"),
    ({"ban_unk": True, "copy_unk": True}, "copy_unk"), ({"temperature": 0.0}, "temperature"),
    ({"top_p": 1.5}, "top_p")])
def test_impossible_searches_are_refused(keys, named):
    with pytest.raises(UsageError, match=named):
        Config(model_config=ModelConfig(**keys))
