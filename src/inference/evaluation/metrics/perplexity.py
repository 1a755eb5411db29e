"""Perplexity of the given targets."""
from collections.abc import Sequence
from typing import Any

import numpy as np

from src.inference.evaluation.metrics.metric import Entry, Measurement, Metric
from src.utils.ppl_score import perplexities


class Perplexity(Metric):
    """exp(-sum log p / number of target tokens), per subword and, for pairs, per word."""

    name = "ppl"
    description = "perplexity of the given targets, per subword and per word"
    searches = False
    needs_pairs = False
    default_output = "perplexity.jsonl"
    scores_label = "perplexity per"
    sentence_label = "log-probability of a token"

    def measure(self, entries: Sequence[Entry]) -> Measurement:
        log_probs = np.array([entry["log_prob"] for entry in entries])
        subwords = np.array([entry["target_tokens"] for entry in entries])
        nll = -float(log_probs.sum())
        counts: dict[str, Any] = {"nll": nll, "target_tokens": int(subwords.sum())}
        units = {"subword": subwords}
        if entries and "target_words" in entries[0]:  # a masked fragment of a sentence has no whole words to count
            units["word"] = np.array([entry["target_words"] for entry in entries])
            counts["target_words"] = int(units["word"].sum())
        both = perplexities(nll, counts["target_tokens"], counts.get("target_words", counts["target_tokens"]))
        scores = {unit: getattr(both, unit) for unit in units}
        terms = np.stack([-log_probs, *units.values()], axis=1)
        return Measurement(scores, log_probs / subwords, terms, _perplexities_from_sums, counts)


def _perplexities_from_sums(sums: np.ndarray) -> np.ndarray:
    """[samples, 1 + units]: negative log-likelihood and number of units -> perplexities [samples, units]."""
    with np.errstate(over="ignore"):
        return np.exp(sums[:, :1] / sums[:, 1:])
