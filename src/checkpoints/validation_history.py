"""The validations of a run so far: which was the best, and whether training should end early."""
import math
from dataclasses import dataclass


@dataclass(frozen=True)
class ValidationHistory:
    """The result of the validations up to a step, a part of the training state. Each validation makes a new one."""

    best_nll: float | None = None  # per target token; None before the first validation
    best_step: int | None = None
    last_step: int = 0  # of the latest validation
    count_since_best: int = 0  # validations since the best one

    def after(self, step: int, nll: float) -> "ValidationHistory":
        """Return the history after a validation at `step` that measured `nll` per target token."""
        if not math.isnan(nll) and (self.best_nll is None or nll < self.best_nll):
            return ValidationHistory(nll, step, step)
        return ValidationHistory(self.best_nll, self.best_step, step, self.count_since_best + 1)

    def exhausts(self, patience: int) -> bool:
        """Return whether the last `patience` validations were no better than an earlier one; 0 is never exhausted."""
        return 0 < patience <= self.count_since_best
