"""The request to evaluate a test set, checked before any work is done."""
import glob
import os
from dataclasses import dataclass

from src.common.errors import UsageError
from src.inference.evaluation.metrics.metric import Metric
from src.inference.output import check_file, check_output


@dataclass(frozen=True)
class EvaluationOptions:
    """Which metric to compute on a test set, and the files to write."""

    output: str
    metric: Metric
    confidence: bool = False  # compute bootstrap intervals
    report: str = ""  # path, .html or .md; empty: none
    overwrite: bool = False

    def check(self) -> None:
        """Raise a UsageError if an output cannot be written, or a MassError if a package is missing."""
        check_output(self.output, self.overwrite)
        if self.report:
            if not self.report.endswith((".html", ".md")):
                raise UsageError(f"--report {self.report!r} must end in .html or .md")
            check_file(self.report, "--report", self.overwrite)
            pictures = glob.glob(glob.escape(os.path.splitext(self.report)[0]) + "-[0-9]*.png")
            if self.report.endswith(".md") and pictures and not self.overwrite:
                raise UsageError(f"--report {self.report!r}: its pictures would replace {pictures[0]!r}; give "
                                 f"--overwrite, or choose another name")
        self.metric.require()
