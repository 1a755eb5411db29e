"""Beam search over toy languages in numpy: against enumeration, greedy decoding and a plain second implementation."""
import itertools
import math

import numpy as np
import pytest

from src.transformer.beam_search import beam_search, rank_candidates
from src.transformer.decoding.constraints import NEVER_PREDICTED
from src.transformer.decoding.hypotheses import FinishedHypotheses, Hypothesis, LiveHypotheses, length_penalty
from src.transformer.decoding.interface import StepResult
from src.transformer.decoding.options import SearchOptions
from src.utils.dictionary import EOS_INDEX
from tests.helpers.toy_language import TOKENS, ToyLanguage, ToyStep

WEIGHTS = [0.0, 0.6, 1.0, 2.0]


def search(languages: list[ToyLanguage], beam_width: int, max_length: int, weight: float, n_best: int = 1,
           step: ToyStep | None = None) -> list[list[Hypothesis]]:
    options = SearchOptions(max_length, beam_width, n_best, length_penalty_weight=weight)
    return beam_search(step or ToyStep(languages), len(languages), options)


def score(log_prob: float, length: int, weight: float) -> float:
    return log_prob / ((5 + length) / 6) ** weight


def all_sequences(language: ToyLanguage, max_length: int, weight: float) -> list[tuple[float, tuple[int, ...]]]:
    """Return all sequences of at most `max_length` tokens with </s> at the end, by descending score."""
    sequences = [(*ids, EOS_INDEX) for count in range(max_length) for ids in itertools.product(TOKENS, repeat=count)]
    return sorted(((score(language.log_prob(ids), len(ids), weight), ids) for ids in sequences), reverse=True)


def plain_search(language: ToyLanguage, beam_width: int, max_length: int, weight: float) -> list[tuple]:
    """Beam search as its docstring describes it, with lists, for one sentence, without stopping early."""
    live, finished = [(0.0, ())], []
    for _ in range(1, max_length):
        ranked = sorted(((log_prob + language.next(ids)[token], (*ids, token))
                         for log_prob, ids in live for token in (*TOKENS, EOS_INDEX)), reverse=True)[: 2 * beam_width]
        finished += [entry for entry in ranked[:beam_width] if entry[1][-1] == EOS_INDEX]
        live = [entry for entry in ranked if entry[1][-1] != EOS_INDEX][:beam_width]
    finished += [(log_prob + language.next(ids)[EOS_INDEX], (*ids, EOS_INDEX)) for log_prob, ids in live]
    return sorted(((score(log_prob, len(ids), weight), ids) for log_prob, ids in finished), reverse=True)


def assert_same(found: list[Hypothesis], expected: list[tuple[float, tuple[int, ...]]]) -> None:
    assert [hypothesis.ids for hypothesis in found] == [ids for _, ids in expected]
    np.testing.assert_allclose([hypothesis.score for hypothesis in found], [value for value, _ in expected], rtol=1e-9)


@pytest.mark.parametrize("weight", WEIGHTS)
def test_wide_beam_equals_enumeration(weight):
    languages = [ToyLanguage(seed) for seed in range(4)]
    found = search(languages, 60, 4, weight, n_best=5)  # of 3^3 prefixes with 4 continuations none is pruned
    for language, hypotheses in zip(languages, found, strict=True):
        assert_same(hypotheses, all_sequences(language, 4, weight)[:5])


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("beam_width", [1, 2, 3, 5])
def test_narrow_beam_equals_a_plain_search(beam_width, weight):
    languages = [ToyLanguage(seed) for seed in range(20, 32)]
    found = search(languages, beam_width, 6, weight, n_best=2)
    for language, hypotheses in zip(languages, found, strict=True):
        assert_same(hypotheses, plain_search(language, beam_width, 6, weight)[:2])


def test_beam_of_one_without_length_penalty_is_greedy_decoding():
    languages = [ToyLanguage(seed, eos_bonus=-1.0) for seed in range(30)]
    lengths = set()
    for language, (hypothesis,) in zip(languages, search(languages, 1, 8, 0.0), strict=True):
        ids = ()
        while not ids or ids[-1] != EOS_INDEX:
            allowed = (*TOKENS, EOS_INDEX) if len(ids) < 7 else (EOS_INDEX,)
            ids += (max(allowed, key=language.next(ids).__getitem__),)
        assert hypothesis.ids == ids
        lengths.add(len(ids))
    assert len(lengths) > 4  # short and long hypotheses occur


@pytest.mark.parametrize("n_best", [1, 3])
@pytest.mark.parametrize("weight", WEIGHTS)
def test_stopping_early_changes_nothing(monkeypatch, weight, n_best):
    languages = [ToyLanguage(seed, eos_bonus=1.0, spread=2.5) for seed in range(40, 56)]
    for beam_width in (1, 2, 4):
        step, whole = ToyStep(languages), ToyStep(languages)
        found = search(languages, beam_width, 7, weight, n_best, step)
        with monkeypatch.context() as patch:
            patch.setattr(FinishedHypotheses, "cannot_improve",
                          lambda self, sentences, best_scores: np.zeros(np.shape(best_scores), bool))
            assert found == search(languages, beam_width, 7, weight, n_best, whole)
        steps = [step.steps_of(sentence) for sentence in range(len(languages))]
        assert len(whole.given) == 7
        assert n_best > beam_width or min(steps) < max(steps)  # some stop before others
        for sentence, language in enumerate(languages):
            alone = ToyStep([language])
            search([language], beam_width, 7, weight, n_best, alone)
            assert len(alone.given) == steps[sentence]


def test_sentences_of_a_batch_are_searched_independently():
    languages = [ToyLanguage(seed, eos_bonus=bonus) for seed, bonus in enumerate([2.0, -2.0, 0.0, 4.0, -1.0])]
    for together, language in zip(search(languages, 3, 6, 1.0, n_best=3), languages, strict=True):
        assert [together] == search([language], 3, 6, 1.0, n_best=3)


def test_hypotheses_are_ordered_and_consistent():
    for weight, beam_width, n_best in itertools.product((0.0, 1.0), (1, 2, 4), (1, 2, 4)):
        languages = [ToyLanguage(seed) for seed in range(60, 66)]
        for language, hypotheses in zip(languages, search(languages, beam_width, 5, weight, n_best), strict=True):
            assert 1 <= len(hypotheses) <= n_best
            assert len(hypotheses) == n_best or n_best > beam_width
            scores = [hypothesis.score for hypothesis in hypotheses]
            assert scores == sorted(scores, reverse=True)
            assert len({hypothesis.ids for hypothesis in hypotheses}) == len(hypotheses)
            for hypothesis in hypotheses:
                assert hypothesis.ids.index(EOS_INDEX) == len(hypothesis.ids) - 1 < 5
                assert not set(hypothesis.ids) & set(NEVER_PREDICTED)
                assert hypothesis.log_prob == pytest.approx(language.log_prob(hypothesis.ids))
                assert hypothesis.score == pytest.approx(score(hypothesis.log_prob, len(hypothesis.ids), weight))


@pytest.mark.parametrize("max_length", [1, 2, 5])
def test_hypotheses_are_finished_at_the_maximum_length(max_length):
    languages = [ToyLanguage(seed, eos_bonus=-20.0) for seed in range(5)]
    for hypotheses in search(languages, 3, max_length, 1.0, n_best=3):
        assert len(hypotheses) == (1 if max_length == 1 else 3)  # after <s> alone there is only one hypothesis
        for hypothesis in hypotheses:
            assert len(hypothesis.ids) == max_length
            assert hypothesis.ids.index(EOS_INDEX) == max_length - 1


def test_length_penalty():
    assert length_penalty(1, 3.0) == 1.0
    assert length_penalty(30, 0.0) == 1.0
    assert length_penalty(7, 1.0) == 2.0
    assert length_penalty(13, 0.5) == pytest.approx(math.sqrt(3.0))
    np.testing.assert_allclose(length_penalty(np.arange(1, 9), 0.7), ((5 + np.arange(1, 9)) / 6) ** 0.7)


def test_ancestors_of_live_hypotheses():
    """The ancestors of a hypothesis are the beams in which its tokens were given to the step."""
    generator = np.random.default_rng(70)
    batch, beam_width = 3, 4
    live = LiveHypotheses(batch, beam_width, 7, first=1)
    given = [live.last_ids]
    for _ in range(6):
        parents, tokens = generator.integers(0, beam_width, (2, batch, beam_width))
        before = live.ids.copy()
        live.advance(parents, tokens.astype(np.int32), np.zeros((batch, beam_width)))
        given.append(live.last_ids)
        for row, beam in np.ndindex(batch, beam_width):
            assert live.ids[row, beam].tolist() == [*before[row, parents[row, beam]], tokens[row, beam]]
            assert live.ancestors[row, beam, -1] == beam
            followed = zip(given, live.ancestors[row, beam], strict=True)
            assert [entry[row, ancestor] for entry, ancestor in followed] == live.ids[row, beam].tolist()


def test_ranking_goes_over_all_beams():
    log_probs = np.array([[[-1.0, -2.0], [-0.5, -9.0]]])
    result = StepResult(log_probs, np.array([[[5, 6], [6, 2]]]), np.zeros((1, 2)), None)
    totals, parents, tokens = rank_candidates(np.array([[-1.0, -2.0]]), result, 3)
    assert totals.tolist() == [[-2.0, -2.5, -3.0]]
    assert parents.tolist() == [[0, 1, 0]] and tokens.tolist() == [[5, 6, 6]]
