"""Answers as text, and their score: what eval.py and validation have in common."""
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from src.inference.examples import Examples
from src.transformer.decoding.hypotheses import Hypothesis
from src.utils.byte_pair_encoding import join_subwords
from src.utils.dictionary import UNK_INDEX, Dictionary
from src.utils.rouge_score import ROUGE_METRICS, Tool, rouge_of_pairs


def best_answers(examples: Examples, found: Sequence[Sequence[Hypothesis]], vocabulary: Dictionary,
                 copy_unk: bool = False) -> Iterator[dict[str, Any]]:
    """Source, target and best answer of each pair that has one, as words; see `answer_symbols` for `copy_unk`."""
    for index, hypotheses in enumerate(found):
        if hypotheses:
            best = hypotheses[0]
            symbols = answer_symbols(best, examples.source_symbols(index) if copy_unk else None, vocabulary)
            yield {**{name: text(index) for name, text in examples.texts.items()},
                   "prediction": join_subwords(symbols), "score": best.score, "log_prob": best.log_prob}


def answer_symbols(hypothesis: Hypothesis, source_symbols: Sequence[str] | None, vocabulary: Dictionary) -> list[str]:
    """The symbols of an answer; if the source's are given, each <unk> is the source word it has looked at most.

    (Luong et al., ACL 2015, 3.3, with attention for alignment.) The hypothesis must have its attention then.
    """
    symbols = vocabulary.decode(hypothesis.ids)
    if not source_symbols:
        return symbols
    for place, index in enumerate(hypothesis.ids[: len(symbols)]):
        if index == UNK_INDEX:
            # The source ends with </s>, which is no word; of one that was truncated, the rest was not seen.
            weights = hypothesis.attention[place, : hypothesis.attention.shape[1] - 1][: len(source_symbols)]
            symbols[place] = _word_at(source_symbols, int(np.argmax(weights)))
    return symbols


def score_answers(answers: Sequence[dict[str, Any]], tool: Tool = "rouge") -> dict[str, float]:
    """ROUGE of the answers, in percent."""
    return dict(zip(ROUGE_METRICS, map(float, scores_of_answers(answers, tool).mean(0)), strict=True))


def scores_of_answers(answers: Sequence[dict[str, Any]], tool: Tool = "rouge") -> np.ndarray:
    """[answers, ROUGE_METRICS] F1 in percent; an unknown word of a reference is none that an answer could have met.

    (As in fairseq.)
    """
    references = [answer["target"].replace("<unk>", "<<unk>>") for answer in answers]
    return rouge_of_pairs([answer["prediction"] for answer in answers], references, tool)


def _word_at(symbols: Sequence[str], place: int) -> str:
    """The whole word that the subword at `place` is part of."""
    first, last = place, place
    while first > 0 and symbols[first - 1].endswith("@@"):
        first -= 1
    while symbols[last].endswith("@@") and last + 1 < len(symbols):
        last += 1
    return join_subwords(symbols[first : last + 1])
