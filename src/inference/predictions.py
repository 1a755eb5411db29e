"""Hypotheses of the search as text."""
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from src.inference.examples import ExampleSet
from src.transformer.decoding.hypotheses import Hypothesis
from src.utils.bpe.encoders import SEPARATOR
from src.utils.byte_pair_encoding import join_subwords
from src.utils.dictionary import UNK_INDEX, Dictionary


def best_predictions(examples: ExampleSet, found: Sequence[Sequence[Hypothesis]], vocabulary: Dictionary,
                     copy_unk: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the text of source, target and best prediction, and its scores, for each pair that has a hypothesis.

    Args:
        found: the hypotheses of each example, best first.
        copy_unk: replace unknown tokens, see `prediction_tokens`.
    """
    for index, hypotheses in enumerate(found):
        if hypotheses:
            best = hypotheses[0]
            tokens = prediction_tokens(best, examples.source_tokens(index) if copy_unk else None, vocabulary)
            yield {**examples.text_of_example(index), "prediction": join_subwords(tokens), "score": best.score,
                   "log_prob": best.log_prob}


def prediction_tokens(hypothesis: Hypothesis, source_tokens: Sequence[str] | None, vocabulary: Dictionary) -> list[str]:
    """Return the tokens of a hypothesis without `</s>`.

    If source tokens are given, each `<unk>` is replaced by the source word with the largest cross-attention weight at
    that step (Luong et al., ACL 2015, 3.3, with attention in place of the alignment). The hypothesis must contain its
    attention weights then.
    """
    tokens = vocabulary.decode(hypothesis.ids)
    if not source_tokens:
        return tokens
    copied: list[str] = []
    for place, token in enumerate(tokens):
        if hypothesis.ids[place] == UNK_INDEX:
            # Leave out </s>, the last source token. The network has not read the end of a truncated source.
            weights = hypothesis.attention[place, : hypothesis.attention.shape[1] - 1][: len(source_tokens)]
            token = _word_at(source_tokens, int(np.argmax(weights)))
            while copied and copied[-1].endswith(SEPARATOR):  # the word is replaced as a whole
                copied.pop()
        copied.append(token)
    return copied


def _word_at(tokens: Sequence[str], place: int) -> str:
    """Return the whole word that the token at `place` is part of."""
    first, last = place, place
    while first > 0 and tokens[first - 1].endswith("@@"):
        first -= 1
    while tokens[last].endswith("@@") and last + 1 < len(tokens):
        last += 1
    return join_subwords(tokens[first : last + 1])
