"""Answers as text, and their score: what eval.py and validation have in common."""
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from src.dataset.records import RecordSet
from src.transformer.search.hypotheses import Hypothesis
from src.utils.byte_pair_encoding import join_subwords
from src.utils.dictionary import Dictionary
from src.utils.rouge_score import rouge_scores


def best_answers(records: RecordSet, found: list[list[Hypothesis]], vocabulary: Dictionary) -> Iterator[dict[str, Any]]:
    """Source, target and best answer of each pair that has one, as text."""
    for index, hypotheses in enumerate(found):
        if hypotheses:
            best = hypotheses[0]
            yield {"source": text_of(records.columns["source"][index], vocabulary),
                   "target": text_of(records.columns["target"][index], vocabulary),
                   "prediction": text_of(best.ids, vocabulary), "score": best.score, "log_prob": best.log_prob}


def score_answers(answers: Sequence[dict[str, Any]]) -> dict[str, float]:
    """ROUGE of the answers, in percent; an unknown word of a reference is none that an answer could have met.

    (As in fairseq.)
    """
    references = [answer["target"].replace("<unk>", "<<unk>>") for answer in answers]
    return rouge_scores([answer["prediction"] for answer in answers], references)


def text_of(ids: np.ndarray | tuple[int, ...], vocabulary: Dictionary) -> str:
    """The text of ids, up to </s>, BPE joined."""
    return join_subwords(vocabulary.decode(ids))
