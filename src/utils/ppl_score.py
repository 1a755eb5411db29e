"""Perplexity."""
import math
from typing import NamedTuple


class Perplexity(NamedTuple):
    """exp(-sum log p / number of symbols), counted in two ways."""

    subword: float  # per target symbol, </s> included: what most papers give
    word: float  # per word after BPE is joined, </s> included: comparable between vocabularies


def perplexity(nll: float, count: int) -> float:
    """exp(nll / count); infinite where that overflows.

    Args:
        nll: negative natural log-likelihood, summed.
        count: symbols it is the sum of.
    """
    if count <= 0:
        raise ValueError(f"perplexity of {count} symbols")
    try:
        return math.exp(nll / count)
    except OverflowError:
        return math.inf


def perplexities(nll: float, subwords: int, words: int) -> Perplexity:
    """Both perplexities of the same likelihood; both counts include one </s> a sentence."""
    return Perplexity(perplexity(nll, subwords), perplexity(nll, words))
