"""The interface of a metric. Nothing here imports MindSpore, so that command lines can list the metrics at once."""
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

Entry = Mapping[str, Any]
"""One line of eval.py's output file: a sentence of the test set and what the model made of it."""


class Flag(NamedTuple):
    """A flag of eval.py that belongs to one metric."""

    name: str  # with its dashes: `--rouge`
    option: str  # the argument of the metric's constructor that receives the value
    choices: tuple[str, ...]
    default: str
    help: str

    @property
    def dest(self) -> str:
        """The attribute that holds the value in an argparse.Namespace."""
        return self.name.lstrip("-").replace("-", "_")


@dataclass(frozen=True)
class Measurement:
    """What a metric says about a test set of n sentences."""

    scores: dict[str, float]
    """The m scores of the whole test set, by name."""

    sentence_scores: np.ndarray
    """[n], higher is better: the order of the examples in a report."""

    terms: np.ndarray
    """[n, k], the quantities of each sentence whose sums determine the scores."""

    scores_from_sums: Callable[[np.ndarray], np.ndarray]
    """Sums of the terms over the sentences of each bootstrap sample [samples, k] -> scores [samples, m]."""

    counts: dict[str, Any] = field(default_factory=dict)
    """Further entries of metrics.json."""


class Metric(ABC):
    """A score of a test set.

    eval.py runs the model as the metric asks: it searches for predictions, or it computes the log-probabilities of the
    given targets. `measure` then turns the entries of the output file into scores. A metric is listed in `METRICS`
    (src/inference/evaluation/metrics/__init__.py), which the command lines, the report and the launcher read.
    """

    name: ClassVar[str]
    """The value of `--metric`, and the key of the scores in metrics.json."""

    description: ClassVar[str]
    """One line for `--help`."""

    searches: ClassVar[bool]
    """Whether it rates predictions found by search; if not, it rates the given targets."""

    needs_pairs: ClassVar[bool]
    """Whether the test set must consist of pairs of source and target."""

    default_output: ClassVar[str]
    """The name of the output file in the run folder of scripts/run_*.sh."""

    scores_label: ClassVar[str]
    """The heading of the scores in a report."""

    sentence_label: ClassVar[str]
    """What the score of one sentence is, in a report."""

    flags: ClassVar[tuple[Flag, ...]] = ()

    @abstractmethod
    def measure(self, entries: Sequence[Entry]) -> Measurement:
        """Score the entries, in the order of the test set.

        Args:
            entries: `source` and `target` (for a test set of sentences `tokens`), text with BPE joined. If the metric
                searches, also `prediction`, `score` and `log_prob`; if not, `log_prob` (of the target, summed, natural
                logarithm), `target_tokens` (their number, `</s>` included) and, for pairs, `target_words` (the number
                of words that these tokens form, one for `</s>` included).
        """

    def require(self) -> None:  # noqa: B027 (most metrics need no package)
        """Raise a MassError if a package that the metric needs is not installed. Called before the model is loaded."""

    def check_targets(self, targets: Iterable[str]) -> None:  # noqa: B027
        """Raise a UsageError if the targets cannot be rated, or warn. Called before the search if `needs_pairs`."""

    def signature(self) -> str:
        """Return the tool, its version and its options, which the signature of the scores begins with."""
        return self.name

    @property
    def signature_key(self) -> str:
        """The key of the signature in metrics.json."""
        return f"{self.name}_signature"


def mean_over_sentences(names: Sequence[str], values: np.ndarray, counts: dict[str, Any] | None = None) -> Measurement:
    """Return the measurement of a metric whose scores are means over the sentences.

    Args:
        names: of the m scores.
        values: [n, m], the scores of each sentence; the last column orders the examples in a report.
        counts: further entries of metrics.json.
    """
    means = dict(zip(names, map(float, values.mean(axis=0)), strict=True))
    return Measurement(means, values[:, -1], values, lambda sums: sums / len(values), counts or {})
