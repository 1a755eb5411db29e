"""What eval.py was asked for, checked before any work is done."""
import glob
import os
from dataclasses import dataclass

from src.common.errors import UsageError
from src.inference.output import check_file, check_output
from src.utils.rouge_score import Tool, require_rouge

STREAM = "-"
"""Stands for standard input."""


@dataclass(frozen=True)
class EvaluationOptions:
    """What eval.py was asked to measure, and where it goes."""

    output: str
    metric: str = "rouge"  # or "ppl"
    tool: Tool = "rouge"
    confidence: bool = False
    report: str = ""  # path, .html or .md; empty: none
    overwrite: bool = False

    def check(self) -> None:
        """Raise, before any work is done, if an output cannot be written or a package is missing."""
        check_output(self.output, self.overwrite)
        if self.report:
            if not self.report.endswith((".html", ".md")):
                raise UsageError(f"--report {self.report!r} must end in .html or .md")
            check_file(self.report, "--report", self.overwrite)
            pictures = glob.glob(glob.escape(os.path.splitext(self.report)[0]) + "-[0-9]*.png")
            if self.report.endswith(".md") and pictures and not self.overwrite:
                raise UsageError(f"--report {self.report!r}: its pictures would replace {pictures[0]!r}; give "
                                 f"--overwrite, or choose another name")
        if self.metric == "rouge":
            require_rouge(self.tool)


@dataclass(frozen=True)
class TextTask:
    """What to answer, and where the answers go."""

    input: str  # a path, or STREAM
    output: str | None  # None: standard output
    json: bool = False  # all n best answers with scores, one object a line; otherwise the best one's text
    strict: bool = False
    errors: str = "strict"
    overwrite: bool = False

    def check(self) -> None:
        """Raise a UsageError, before any work is done, if the output cannot be written."""
        if self.output:
            check_file(self.output, "--output", self.overwrite)
