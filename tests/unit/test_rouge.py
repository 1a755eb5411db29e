"""ROUGE: equal to its packages, for texts of any length and any alphabet."""
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge.rouge_score import _recon_lcs, rouge_l_summary_level

from src.common.errors import UsageError
from src.inference.evaluation.metrics.rouge import Rouge
from src.utils.common_subsequence import longest_common_subsequence, summary_rouge_l
from src.utils.rouge_score import letters_ignored, rouge_of_pairs, rouge_scores

WORDS = st.lists(st.sampled_from("abcde"), max_size=30)
TEXTS = st.text("abc  .", max_size=60).filter(lambda text: text.replace(".", " ").strip())


@given(WORDS, WORDS)
def test_the_subsequence_is_that_of_the_package(first, second):
    ours = longest_common_subsequence(first, second)
    assert set(ours) == _recon_lcs(first, second)._ngrams
    for words in (iter(first), iter(second)):
        assert all(word in words for word in ours)


@given(TEXTS, TEXTS)
def test_rouge_l_is_that_of_the_package(prediction, reference):
    sides = [[" ".join(piece.split()) for piece in text.split(".") if piece] for text in (prediction, reference)]
    assert summary_rouge_l(prediction, reference) == rouge_l_summary_level(*sides)["f"]


def test_long_texts_are_scored():
    generator = random.Random(1)
    words = [f"w{generator.randrange(500)}" for _ in range(3000)]
    half = [word for number, word in enumerate(words) if number % 2]
    assert longest_common_subsequence(words, half) == half
    scores = rouge_scores([" ".join(half)], [" ".join(words)])
    assert scores["rouge-l"] == pytest.approx(100 * 2 * len(set(half)) / (len(set(half)) + len(set(words))), abs=1e-3)


@pytest.mark.parametrize("tool", ["rouge", "rouge-score"])
def test_an_unknown_token_of_a_reference_matches_nothing(tool):
    pytest.importorskip(tool.replace("-", "_"))
    assert not rouge_of_pairs(["<unk>", "<unk> <unk>", "unk"], ["<unk>", "<unk> <unk>", "<unk>"], tool).any()
    some, whole = rouge_of_pairs(["<unk> b", "a b"], ["<unk> b", "a b"], tool)
    assert some[:2].tolist() == pytest.approx([50, 0], abs=1e-3) and whole[0] == pytest.approx(100, abs=1e-3)


def test_words_that_rouge_score_ignores_are_refused_or_warned_of(capsys):
    assert letters_ignored(["Привет, мир!"], "rouge") == letters_ignored(["", "<unk>"], "rouge-score") == 0
    assert letters_ignored(["\u00e9t\u00e9 <unk>"], "rouge-score") == pytest.approx(2 / 3)
    Rouge("rouge").check_targets(["Привет"])
    Rouge("rouge-score").check_targets(["The café is open on Mondays and Tuesdays", ""])
    assert not capsys.readouterr().err
    Rouge("rouge-score").check_targets(["Привет 2026", "hello"])
    assert "ignores 40% of the letters of the targets; --rouge rouge counts" in capsys.readouterr().err
    with pytest.raises(UsageError, match="finds no words in the targets.*use --rouge rouge"):
        Rouge("rouge-score").check_targets(["Привет", "他来到北京"])
