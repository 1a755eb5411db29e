"""ROUGE of predictions (Lin, 2004)."""
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from src.common.errors import UsageError
from src.inference.evaluation.metrics.metric import Entry, Flag, Measurement, Metric, mean_over_sentences
from src.utils.rouge_score import (
    ROUGE_METRICS,
    ROUGE_TOOLS,
    Tool,
    letters_ignored,
    require_rouge,
    rouge_of_pairs,
    rouge_signature,
)

LETTERS_IGNORED_TO_WARN = 0.05
"""A larger share of letters that the package ignores causes a warning; French has about 0.04 outside a-z."""


@dataclass(frozen=True)
class Rouge(Metric):
    """F1 of ROUGE-1, ROUGE-2 and ROUGE-L in percent, averaged over the sentences."""

    tool: Tool = "rouge"

    name = "rouge"
    description = "F1 of ROUGE-1, ROUGE-2 and ROUGE-L of the predictions"
    searches = True
    needs_pairs = True
    default_output = "predictions.jsonl"
    scores_label = "F1 x 100"
    sentence_label = "ROUGE-L"
    signature_key = "signature"
    flags = (Flag("--rouge", "tool", ROUGE_TOOLS, "rouge",
                  "the package that computes ROUGE; rouge-score (pip install rouge-score) stems the words"),)

    def measure(self, entries: Sequence[Entry]) -> Measurement:
        """Score the predictions. An unknown token of a reference matches nothing in a prediction, as in fairseq."""
        f1 = rouge_of_pairs([entry["prediction"] for entry in entries], [entry["target"] for entry in entries],
                            self.tool)
        return mean_over_sentences(ROUGE_METRICS, f1)

    def require(self) -> None:
        require_rouge(self.tool)

    def check_targets(self, targets: Iterable[str]) -> None:
        """Refuse or warn of texts of whose letters the package knows few or none."""
        ignored = letters_ignored(targets, self.tool)
        if ignored == 1:
            raise UsageError(f"--rouge {self.tool} finds no words in the targets: it knows only the letters a-z and "
                             f"digits; use --rouge rouge")
        if ignored > LETTERS_IGNORED_TO_WARN:
            print(f"warning: --rouge {self.tool} knows only the letters a-z and digits, and ignores {ignored:.0%} of "
                  f"the letters of the targets; --rouge rouge counts all words", file=sys.stderr, flush=True)

    def signature(self) -> str:
        return rouge_signature(self.tool)
