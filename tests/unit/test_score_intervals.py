"""Bootstrap intervals against their formula, and the two packages that compute ROUGE."""
import importlib.util

import numpy as np
import pytest

from src.inference.evaluation.bootstrap import bootstrap_intervals, resampled_sums
from src.utils.rouge_score import ROUGE_METRICS, require_rouge, rouge_of_pairs, rouge_scores, rouge_signature

needs_rouge_score = pytest.mark.skipif(not importlib.util.find_spec("rouge_score"), reason="rouge-score not installed")


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution():
    values = np.random.default_rng(1).normal(40.0, 20.0, (3000, 1))
    ((low, high),) = bootstrap_intervals(values, lambda sums: sums / len(values))
    error = values.std() / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.2 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.2 * error)


def test_whole_examples_are_drawn():
    """Equal columns have equal sums, and every sum is over as many examples as there are."""
    values = np.array([[1, 1, 1], [5, 5, 1], [25, 25, 1], [125, 125, 1]])
    sums = resampled_sums(values, samples=200)
    assert (sums[:, 0] == sums[:, 1]).all() and (sums[:, 2] == 4).all()
    assert len(np.unique(sums[:, 0])) > 20


def test_the_block_size_does_not_change_the_sums():
    values = np.random.default_rng(2).normal(size=(50, 2))
    at_once = resampled_sums(values, samples=30)
    np.testing.assert_allclose(resampled_sums(values, samples=30, block=7 * 50), at_once, rtol=1e-9, atol=1e-12)


def test_equal_scores_have_no_width():
    ((low, high),) = bootstrap_intervals(np.full((10, 1), 3.0), lambda sums: sums / 10)
    assert low == high == 3.0


def test_mean_over_pairs():
    predictions, references = ["a b c", "x y", ""], ["a b d", "x z", "q"]
    pairs = rouge_of_pairs(predictions, references)
    assert pairs.shape == (3, len(ROUGE_METRICS)) and (pairs[2] == 0).all()
    np.testing.assert_allclose(list(rouge_scores(predictions, references).values()), pairs.mean(0))


@needs_rouge_score
def test_rouge_score_stems_and_counts_every_n_gram():
    stemmed = rouge_of_pairs(["police kill the gunmen"], ["Police killed the gunmen"], "rouge-score")[0]
    np.testing.assert_allclose(stemmed, 100)
    # One of "a a" is in the reference: precision 1/2, recall 1; the package `rouge` counts distinct n-grams.
    assert rouge_of_pairs(["a a"], ["a"], "rouge-score")[0, 0] == pytest.approx(100 * 2 / 3)
    assert rouge_of_pairs(["a a"], ["a"])[0, 0] == pytest.approx(100, abs=1e-3)
    assert "stemming" in rouge_signature("rouge-score") and "0.1.2" in rouge_signature("rouge-score")
    require_rouge("rouge-score")
