"""ROUGE of predictions (Lin, 2004)."""
from collections.abc import Sequence
from dataclasses import dataclass

from src.inference.evaluation.metrics.metric import Entry, Flag, Measurement, Metric, mean_over_sentences
from src.utils.rouge_score import ROUGE_METRICS, ROUGE_TOOLS, Tool, require_rouge, rouge_of_pairs, rouge_signature


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
        references = [entry["target"].replace("<unk>", "<<unk>>") for entry in entries]
        f1 = rouge_of_pairs([entry["prediction"] for entry in entries], references, self.tool)
        return mean_over_sentences(ROUGE_METRICS, f1)

    def require(self) -> None:
        require_rouge(self.tool)

    def signature(self) -> str:
        return rouge_signature(self.tool)
