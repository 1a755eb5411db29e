"""The validations so far: the best of them, and whether it is time to give up."""
import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """What validation has found up to a step; part of the training state. Each validation makes a new one."""

    best_nll: float | None = None  # per target symbol; None before the first validation
    best_step: int | None = None
    last_step: int = 0  # of the latest validation
    without_gain: int = 0  # validations since the best one

    def after(self, step: int, nll: float) -> "Score":
        """The score after a validation at `step` that found `nll` per target symbol."""
        if not math.isnan(nll) and (self.best_nll is None or nll < self.best_nll):
            return Score(nll, step, step)
        return Score(self.best_nll, self.best_step, step, self.without_gain + 1)

    def exhausts(self, patience: int) -> bool:
        """Whether `patience` validations in a row (0: any number) were no better."""
        return 0 < patience <= self.without_gain
