"""Constraints, sampling and attention of the search: each against its formula, and in searches over toy languages."""
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
    ForbiddenSymbols,
    MinimumLength,
    NoRepeatedNgram,
    candidates_needed,
    constraints_of,
)
from src.transformer.decoding.options import Sampling, SearchOptions
from src.transformer.decoding.sampling import (
    at_temperature,
    draw,
    keep_top_k,
    keep_top_p,
    narrowed,
    sample,
    sentence_keys,
)
from src.transformer.decoding.step import StepResult
from src.utils.dictionary import BOS_INDEX, EOS_INDEX, UNK_INDEX
from tests.helpers.toy_language import VOCAB, WORDS, ToyLanguage, ToyStep


def everything(batch: int, width: int) -> StepResult:
    """All symbols as candidates, none forbidden."""
    ids = np.broadcast_to(np.arange(VOCAB, dtype=np.int32), (batch, width, VOCAB))
    return StepResult(np.zeros(ids.shape, np.float32), ids, np.zeros(ids.shape[:2], np.float32), None)


def forbidden_by(constraint, answer: tuple[int, ...]) -> set[int]:
    """The symbols that a constraint forbids after the symbols of an answer."""
    live_ids = np.array([[[BOS_INDEX, *answer]]], np.int32)
    result = constraint(live_ids, everything(1, 1))
    assert (np.isfinite(result.log_probs) <= (result.log_probs == 0.0)).all()  # -inf or as it was
    return set(result.ids[result.log_probs == -np.inf].tolist())


def repeats_ngram(ids: tuple[int, ...], size: int) -> bool:
    ngrams = [ids[i : i + size] for i in range(len(ids) - size + 1)]
    return len(set(ngrams)) < len(ngrams)


@given(st.lists(st.sampled_from(WORDS), max_size=9), st.integers(1, 4))
def test_no_repeated_ngram_forbids_what_would_repeat_one(answer, size):
    answer = tuple(answer)
    constraint = NoRepeatedNgram(size, max_length=len(answer) + 2)
    found = forbidden_by(constraint, answer)
    longer = {symbol: (*answer, symbol) for symbol in range(VOCAB) if symbol != EOS_INDEX}
    expected = {symbol for symbol, ids in longer.items()
                if any(ids[i : i + size] == ids[-size:] for i in range(len(answer) + 1 - size))}
    assert found == expected
    assert len(found) <= constraint.most_forbidden


def test_hypotheses_are_forbidden_their_own_repetitions():
    live_ids = np.array([[[BOS_INDEX, 5, 6, 5], [BOS_INDEX, 6, 6, 6]], [[BOS_INDEX, 3, 5, 6], [BOS_INDEX, 5, 5, 3]]])
    result = NoRepeatedNgram(2, 8)(live_ids, everything(2, 2))
    assert [[set(np.flatnonzero(beam == -np.inf)) for beam in sentence] for sentence in result.log_probs] == [
        [{6}, {6}], [set(), set()]]


@pytest.mark.parametrize("length", [1, 2, 4])
def test_minimum_length_counts_the_end(length):
    for count in range(5):
        expected = {EOS_INDEX} if count + 1 < length else set()
        assert forbidden_by(MinimumLength(length), (5,) * count) == expected


def test_forbidden_symbols():
    constraint = ForbiddenSymbols((0, UNK_INDEX))
    assert forbidden_by(constraint, (5, 6)) == {0, UNK_INDEX} and constraint.most_forbidden == 2


def allowed(answer: tuple[int, ...], options: SearchOptions) -> bool:
    """Whether the constraints allow a finished answer."""
    return (len(answer) >= options.min_length and not (options.ban_unk and UNK_INDEX in answer)
            and not (options.no_repeat_ngram_size and repeats_ngram(answer, options.no_repeat_ngram_size)))


@pytest.mark.parametrize("options", [{"min_length": 4}, {"ban_unk": True}, {"no_repeat_ngram_size": 1},
                                     {"no_repeat_ngram_size": 2, "min_length": 3, "ban_unk": True}], ids=str)
def test_wide_beam_finds_the_best_answers_that_are_allowed(options):
    options = SearchOptions(5, 300, 4, **options)
    languages = [ToyLanguage(seed) for seed in range(4)]
    answers = [(*words, EOS_INDEX) for count in range(5) for words in itertools.product(WORDS, repeat=count)]
    answers = [answer for answer in answers if allowed(answer, options)]
    for language, found in zip(languages, beam_search(ToyStep(languages), 4, options), strict=True):
        best = sorted(answers, key=lambda ids: -language.log_prob(ids) / ((5 + len(ids)) / 6))  # noqa: B023
        assert [hypothesis.ids for hypothesis in found] == best[:4]


@pytest.mark.parametrize("beam_width", [1, 2])
@pytest.mark.parametrize("options", [{}, {"min_length": 5}, {"ban_unk": True},
                                     {"no_repeat_ngram_size": 3, "min_length": 4}], ids=str)
def test_the_candidates_asked_for_are_enough(options, beam_width):
    """The same answers as with all symbols for candidates."""
    options = SearchOptions(6, beam_width, beam_width, **options)
    languages = [ToyLanguage(seed, eos_bonus=0.5) for seed in range(80, 100)]
    few = ToyStep(languages, candidates_needed(options, VOCAB))
    assert few.candidates < VOCAB or beam_width > 1 or options.no_repeat_ngram_size
    assert beam_search(few, 20, options) == beam_search(ToyStep(languages), 20, options)


def test_candidates_needed():
    """What is ranked, <pad>, <s>, <mask>, and what else may be forbidden; never more than there are symbols."""
    assert candidates_needed(SearchOptions(9, 4), 1000) == 8 + 3
    assert candidates_needed(SearchOptions(9, 4, ban_unk=True, min_length=2), 1000) == 8 + 4 + 1
    assert candidates_needed(SearchOptions(9, 4, no_repeat_ngram_size=3), 1000) == 8 + 3 + 6
    assert candidates_needed(SearchOptions(9, 4), 10) == 10
    assert candidates_needed(SearchOptions(9, sampling=Sampling()), 1000) == 1000
    assert candidates_needed(SearchOptions(9, sampling=Sampling(top_k=5)), 1000) == 5 + 3


def test_no_answer_is_left_where_constraints_forbid_all():
    options = SearchOptions(9, 2, min_length=8, no_repeat_ngram_size=1)  # three words do not make seven
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
def test_top_p_keeps_the_fewest_that_reach_it(mass):
    log_probs = some_log_probs(3, 30, 9) - 1.7  # not normalized
    for before, after in zip(log_probs, keep_top_p(log_probs, mass), strict=True):
        falling = sorted(range(9), key=lambda i: -before[i])
        reached, kept = 0.0, []
        while reached < mass:
            kept.append(falling[len(kept)])
            reached += math.exp(before[kept[-1]] + 1.7)
        assert all(after[i] == (before[i] if i in kept else -np.inf) for i in range(9))


def test_top_p_comes_after_top_k():
    """0.6 of what top-k has left is the first two of three."""
    log_probs = np.log([0.3, 0.25, 0.2, 0.15, 0.1])
    assert np.isfinite(narrowed(log_probs, Sampling(top_k=3, top_p=0.6))).tolist() == [True] * 2 + [False] * 3
    assert np.isfinite(narrowed(log_probs, Sampling(top_p=0.6))).tolist() == [True] * 3 + [False] * 2


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
    """Frequencies of the first symbol within five standard deviations."""
    language, count = ToyLanguage(7, eos_bonus=1.0), 3000
    answers = sampled([language], [12], count, max_length=2, sampling=Sampling(temperature=0.7))[0]
    weights = np.exp(language.next(()) / 0.7)
    weights[[symbol for symbol in range(VOCAB) if symbol not in (*WORDS, EOS_INDEX)]] = 0.0
    expected = weights / weights.sum()
    found = np.bincount([answer.ids[0] for answer in answers], minlength=VOCAB) / count
    assert (np.abs(found - expected) <= 5 * np.sqrt(expected * (1 - expected) / count)).all()


def test_samples_do_not_depend_on_company_or_order():
    languages, keys = [ToyLanguage(seed) for seed in range(5)], [11, 12, 13, 14, 15]
    together = sampled(languages, keys, 3, sampling=Sampling(seed=4))
    assert sampled(languages[::-1], keys[::-1], 3, sampling=Sampling(seed=4)) == together[::-1]
    for language, key, answers in zip(languages, keys, together, strict=True):
        assert sampled([language], [key], 3, sampling=Sampling(seed=4)) == [answers]
    assert sampled(languages, keys, 3, sampling=Sampling(seed=5)) != together


def test_samples_are_scored_by_the_whole_distribution():
    languages = [ToyLanguage(seed) for seed in range(3)]
    for language, answers in zip(languages, sampled(languages, [1, 2, 3], 4, sampling=Sampling(0.5, 2, 0.9)),
                                 strict=True):
        assert len(answers) == 4
        assert [answer.score for answer in answers] == sorted((answer.score for answer in answers), reverse=True)
        for answer in answers:
            assert answer.ids[-1] == EOS_INDEX and len(answer.ids) <= 6
            assert answer.log_prob == pytest.approx(language.log_prob(answer.ids))
            assert answer.score == pytest.approx(answer.log_prob / ((5 + len(answer.ids)) / 6))


@pytest.mark.parametrize("sampling", [Sampling(top_k=1), Sampling(temperature=1e-3), Sampling(top_p=1e-6)], ids=str)
def test_sampling_of_the_most_probable_is_greedy_decoding(sampling):
    languages = [ToyLanguage(seed, eos_bonus=-1.0) for seed in range(8)]
    greedy = beam_search(ToyStep(languages), 8, SearchOptions(6, 1, length_penalty_weight=0.0))
    found = sampled(languages, list(range(8)), 1, length_penalty_weight=0.0, sampling=sampling)
    assert [answers[0].ids for answers in found] == [answers[0].ids for answers in greedy]


def test_samples_obey_constraints():
    languages = [ToyLanguage(seed, eos_bonus=1.0) for seed in range(10)]
    options = {"min_length": 4, "no_repeat_ngram_size": 2, "ban_unk": True}
    for answers in sampled(languages, list(range(10)), 5, sampling=Sampling(), **options):
        assert len(answers) == 5 and all(allowed(answer.ids, SearchOptions(6, **options)) for answer in answers)


def test_sentences_are_told_apart_by_their_symbols_alone():
    keys = sentence_keys(np.array([[5, 6, 2, 0], [5, 6, 2, 0], [6, 5, 2, 0], [5, 6, 6, 2]]))
    assert keys[0] == keys[1] and len(set(keys.tolist())) == 3
    assert sentence_keys(np.array([[5, 6, 2]]))[0] == keys[0]  # padding does not count


@pytest.mark.parametrize("sampling", [None, Sampling()], ids=["beam", "sample"])
def test_attention_is_that_of_the_answer_itself(sampling):
    languages = [ToyLanguage(seed, eos_bonus=bonus) for seed, bonus in enumerate([0.0, 3.0, -1.0])]
    options = SearchOptions(5, 3, 3, attention=True, sampling=sampling)
    step = ToyStep(languages, attention=True)
    found = sample(step, np.arange(3, dtype=np.uint64), options) if sampling else beam_search(step, 3, options)
    for language, answers in zip(languages, found, strict=True):
        assert len(answers) == 3
        for answer in answers:
            expected = [np.exp(language.next(answer.ids[:i])) for i in range(len(answer.ids))]
            np.testing.assert_allclose(answer.attention, expected, rtol=1e-6)


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
