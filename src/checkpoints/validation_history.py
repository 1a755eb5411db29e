"""The validations of a run so far: which was the best, and whether training should end early."""
import math
from collections.abc import Mapping
from dataclasses import dataclass

from config.config import TrainingConfig
from config.registry import registry

# The figure of a validation, by its name in metrics.jsonl, and the sign that makes a greater value the better one.
BEST_METRICS: dict[str, tuple[str, int]] = registry(TrainingConfig, "best_metric", {
    "perplexity": ("nll", -1),
    "rouge-1": ("rouge-1", 1),
    "rouge-2": ("rouge-2", 1),
    "rouge-l": ("rouge-l", 1),
})


def score_of(figures: Mapping[str, float], best_metric: str) -> float | None:
    """Return what a validation is judged by, the greater the better; None if the validation did not measure it.

    Args:
        figures: of the validation, by their names in metrics.jsonl: "nll" (per target token), "rouge-1", ...
        best_metric: training_config.best_metric.
    """
    name, sign = BEST_METRICS[best_metric]
    return sign * figures[name] if name in figures else None


@dataclass(frozen=True)
class ValidationHistory:
    """The result of the validations up to a step, a part of the training state. Each validation makes a new one."""

    best_score: float | None = None  # see score_of; None before the first validation
    best_step: int | None = None
    last_step: int = 0  # of the latest validation
    count_since_best: int = 0  # validations since the best one

    def after(self, step: int, score: float) -> "ValidationHistory":
        """Return the history after a validation at `step` with this score; a score that is not a number is no best."""
        if not math.isnan(score) and (self.best_score is None or score > self.best_score):
            return ValidationHistory(score, step, step)
        return ValidationHistory(self.best_score, self.best_step, step, self.count_since_best + 1)

    def exhausts(self, patience: int) -> bool:
        """Return whether the last `patience` validations were no better than an earlier one; 0 is never exhausted."""
        return 0 < patience <= self.count_since_best
