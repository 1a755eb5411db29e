"""Perplexity."""
import math
from typing import NamedTuple


class Perplexities(NamedTuple):
    """exp(-sum log p / count) of one likelihood, for two ways of counting."""

    subword: float  # per target token, </s> included: the figure that most papers report
    word: float  # per word after BPE is joined, </s> included: comparable between vocabularies


def perplexity(nll: float, count: int) -> float:
    """Return exp(nll / count), or infinity if that overflows.

    Args:
        nll: negative natural log-likelihood, summed.
        count: the number of tokens over which it is summed.

    Raises:
        ValueError: the count is not positive.
    """
    if count <= 0:
        raise ValueError(f"perplexity of {count} tokens")
    try:
        return math.exp(nll / count)
    except OverflowError:
        return math.inf


def perplexities(nll: float, subwords: int, words: int) -> Perplexities:
    """Return the perplexity per subword and per word; both counts include one `</s>` per sentence."""
    return Perplexities(perplexity(nll, subwords), perplexity(nll, words))


def count_words_and_eos(text: str) -> int:
    """Return the number of words of a text, which spaces separate, and one for `</s>`."""
    return 1 + sum(map(bool, text.split(" ")))
