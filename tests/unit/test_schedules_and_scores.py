"""Learning rates, perplexity and ROUGE against their formulas."""
import math

import pytest

from config.config import LearnRateConfig
from src.utils.lr_scheduler import learning_rate, planned_rates, schedule_warnings
from src.utils.ppl_score import perplexities, perplexity
from src.utils.rouge_score import rouge_scores


def test_warm_up_is_linear_from_zero():
    config = LearnRateConfig(lr=0.01, warmup_steps=50)
    for step in range(51):
        assert learning_rate(step, config) == pytest.approx(0.01 * step / 50)


def test_poly_follows_its_formula_over_several_cycles():
    config = LearnRateConfig(lr=1e-3, min_lr=1e-5, warmup_steps=10, decay_steps=100, poly_lr_scheduler_power=0.5)
    for step in range(10, 400):
        s = step - 10
        c = max(1, math.ceil(s / 100))
        expected = (1e-3 - 1e-5) * (1 - s / (c * 100)) ** 0.5 + 1e-5
        assert learning_rate(step, config) == pytest.approx(expected)
    assert learning_rate(110, config) == pytest.approx(1e-5)  # the end of the first cycle
    assert learning_rate(111, config) > 5e-4  # the second one starts anew, lower


def test_isr_holds_then_decays_never_below_the_minimum():
    config = LearnRateConfig(lr_scheduler="isr", lr=1e-3, min_lr=1e-4, warmup_steps=100, decay_start_step=300)
    assert all(learning_rate(step, config) == 1e-3 for step in range(100, 301))
    assert learning_rate(400, config) == pytest.approx(1e-3 * math.sqrt(100 / 400))
    assert learning_rate(10**6, config) == 1e-4


def test_rates_without_warm_up():
    assert learning_rate(1, LearnRateConfig(lr=1e-3, warmup_steps=0, decay_steps=10**9)) == pytest.approx(1e-3)


@pytest.mark.parametrize("total", [300, 301, 5000])
def test_a_sudden_fall_of_isr_is_warned_of(total):
    """Default values: lr * sqrt(4000 / 12001) after decay_start_step 12000, that is 42% less in one step."""
    sudden = LearnRateConfig(lr_scheduler="isr", warmup_steps=100, decay_start_step=300)
    found = schedule_warnings(sudden, total)
    assert len(found) == (total > 300)
    fall = 1 - learning_rate(301, sudden) / learning_rate(300, sudden)
    assert not found or f"falls by {fall:.0%} in one step after step 300 " in found[0]
    smooth = LearnRateConfig(lr_scheduler="isr", warmup_steps=300, decay_start_step=300)
    assert not schedule_warnings(smooth, total)


def test_a_run_that_ends_within_the_warm_up_is_warned_of():
    config = LearnRateConfig(lr=1e-4, warmup_steps=4000)
    (found,) = schedule_warnings(config, 1000)
    assert "ends within the warm-up, at a learning rate of 2.5e-05 instead of 0.0001" in found
    assert schedule_warnings(config, 4000) == []


def test_a_second_cycle_of_poly_is_warned_of():
    config = LearnRateConfig(warmup_steps=10, decay_steps=100)
    assert schedule_warnings(config, 110) == []
    (found,) = schedule_warnings(config, 111)
    assert f"rises again after step 110, from 1e-06 to {learning_rate(111, config):.3g} " in found


@pytest.mark.parametrize("total", [1, 2, 3, 499, 500, 501, 100_000])
def test_planned_rates_cover_the_run(total):
    config = LearnRateConfig(warmup_steps=10, decay_steps=100)
    planned = planned_rates(config, total)
    assert planned[0][0] == 1 and planned[-1][0] == total and len(planned) == min(total, 500)
    assert all(rate == learning_rate(step, config) for step, rate in planned)


def test_perplexity_of_a_uniform_model_is_the_number_of_choices():
    assert perplexity(7 * math.log(50), 7) == pytest.approx(50)
    both = perplexities(12 * math.log(10), 12, 6)
    assert (both.subword, both.word) == (pytest.approx(10), pytest.approx(100))
    assert perplexity(1e6, 1) == math.inf
    with pytest.raises(ValueError, match="0 tokens"):
        perplexity(1.0, 0)


def n_grams(text, n):
    words = text.split()
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


def f1(prediction, reference, n):
    """ROUGE-n as the package counts it: distinct n-grams."""
    found, wanted = n_grams(prediction, n), n_grams(reference, n)
    shared = len(found & wanted)
    return 2 * shared / (len(found) + len(wanted)) if shared else 0.0


def test_rouge_against_its_formula():
    pairs = [("police kill the gunman", "police killed the gunman"), ("a b c d", "d c b a"),
             ("same words", "same words"), ("nothing shared", "whatever else")]
    predictions, references = map(list, zip(*pairs, strict=True))
    scores = rouge_scores(predictions, references)
    for n in (1, 2):
        expected = 100 * sum(f1(p, r, n) for p, r in pairs) / len(pairs)
        assert scores[f"rouge-{n}"] == pytest.approx(expected, abs=1e-3)
    expected = 100 * (0.75 + 0.25 + 1 + 0) / 4  # longest common subsequences of 3, 1, 2 and 0 words
    assert scores["rouge-l"] == pytest.approx(expected, abs=1e-3)


def test_empty_sides_score_zero_and_count():
    scores = rouge_scores(["a b", "", " . ", "a b"], ["a b", "a b", "a b", ""])
    assert scores["rouge-1"] == pytest.approx(25, abs=1e-3)
    assert rouge_scores([""], ["a"]) == {"rouge-1": 0.0, "rouge-2": 0.0, "rouge-l": 0.0}
    with pytest.raises(ValueError, match="1 predictions for 2"):
        rouge_scores(["a"], ["a", "b"])
