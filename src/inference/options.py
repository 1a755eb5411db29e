"""The request to generate predictions for text, checked before any work is done."""
from dataclasses import dataclass

from src.common.resumable_output import is_unfinished
from src.inference.output import check_file

STREAM = "-"
"""The value of --input that stands for standard input."""


@dataclass(frozen=True)
class GenerationOptions:
    """The text to generate predictions for, and where to write them."""

    input: str  # a path, or STREAM
    output: str | None  # None: standard output
    json: bool = False  # write all n best predictions with their scores, an object per line; otherwise the best text
    strict: bool = False  # refuse a line that is too long
    errors: str = "strict"  # for undecodable bytes: "strict" or "replace"
    overwrite: bool = False

    def check(self) -> None:
        """Raise a UsageError if the output cannot be written."""
        if self.output:  # whether an output exists that a job was about to finish is decided when that is known
            check_file(self.output, "--output", self.overwrite or is_unfinished(self.output))
