"""ROUGE on words (Lin, 2004), computed by the package `rouge` or the package `rouge-score`."""
import re
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Literal

import numpy as np

from src.common.errors import MassError
from src.utils.common_subsequence import summary_rouge_l
from src.utils.dictionary import SPECIAL_TOKENS, UNK_INDEX

ROUGE_METRICS = ("rouge-1", "rouge-2", "rouge-l")
Tool = Literal["rouge", "rouge-score"]
ROUGE_TOOLS: tuple[Tool, ...] = ("rouge", "rouge-score")

_UNKNOWN = SPECIAL_TOKENS[UNK_INDEX]
_UNKNOWN_OF_REFERENCE = "<<unk>>"  # as in fairseq
_UNKNOWN_PATTERN = re.compile(f"({_UNKNOWN_OF_REFERENCE}|{_UNKNOWN})")

_SIGNATURES = {
    "rouge": "distinct n-grams, words split at blanks and full stops, no stemming, case kept",
    "rouge-score": "all n-grams, words of a-z and 0-9 only, Porter stemming, lower case",
}


def rouge_scores(predictions: Sequence[str], references: Sequence[str], tool: Tool = "rouge") -> dict[str, float]:
    """Return F1 of ROUGE-1, ROUGE-2 and ROUGE-L in percent, averaged over all pairs; see `rouge_of_pairs`."""
    means = rouge_of_pairs(predictions, references, tool).mean(axis=0)
    return {name: float(mean) for name, mean in zip(ROUGE_METRICS, means, strict=True)}


def rouge_of_pairs(predictions: Sequence[str], references: Sequence[str], tool: Tool = "rouge") -> np.ndarray:
    """Return F1 of ROUGE-1, ROUGE-2 and ROUGE-L of each pair in percent: [pairs, 3].

    With `rouge`, words are separated by blanks and full stops, and an n-gram that occurs several times in a text counts
    once, which is the default of the package. A pair with a side without words scores 0 (the package refuses such
    texts). `rouge-score` counts every n-gram of stemmed words, and only characters a-z and 0-9 belong to words; see
    `letters_ignored`. With both, an unknown token (`<unk>`) of a reference is a word that matches nothing.

    Raises:
        MassError: `rouge-score` is not installed.
        ValueError: there are no pairs, or the sides have different lengths.
    """
    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions for {len(references)} references")
    if not predictions:
        raise ValueError("ROUGE of no sentences")
    references = [reference.replace(_UNKNOWN, _UNKNOWN_OF_REFERENCE) for reference in references]
    return {"rouge": _by_rouge, "rouge-score": _by_rouge_score}[tool](predictions, references)


def letters_ignored(texts: Iterable[str], tool: Tool) -> float:
    """Return the share of the letters and digits of texts that the package does not count as parts of words."""
    if tool == "rouge":
        return 0.0
    known = total = 0
    for text in texts:
        letters = [character for character in text.replace(_UNKNOWN, "").lower() if character.isalnum()]
        total += len(letters)
        known += sum(map(str.isascii, letters))
    return 1 - known / total if total else 0.0


def rouge_signature(tool: Tool = "rouge") -> str:
    """Return the tool, its version and its options, which are reported with every score."""
    return f"{tool} {version(tool)}, F1 x100, {_SIGNATURES[tool]}"


def require_rouge(tool: Tool) -> None:
    """Raise a MassError unless the package is installed."""
    if tool == "rouge-score":
        _rouge_scorer()


def _by_rouge(predictions: Sequence[str], references: Sequence[str]) -> np.ndarray:
    from rouge import Rouge

    scores = np.zeros((len(predictions), len(ROUGE_METRICS)))
    pairs = list(zip(predictions, references, strict=True))
    scored = [index for index, pair in enumerate(pairs) if all(map(_has_words, pair))]
    if scored:
        scorer = Rouge(metrics=list(ROUGE_METRICS[:2]), stats=["f"], exclusive=True)
        found = scorer.get_scores([predictions[index] for index in scored], [references[index] for index in scored])
        scores[scored, :2] = [[100.0 * entry[name]["f"] for name in ROUGE_METRICS[:2]] for entry in found]
        # The package computes ROUGE-L by a recursion that fails for texts of a thousand words.
        scores[scored, 2] = [100.0 * summary_rouge_l(*pairs[index]) for index in scored]
    return scores


def _by_rouge_score(predictions: Sequence[str], references: Sequence[str]) -> np.ndarray:
    scorer = _rouge_scorer()
    scores = []
    for prediction, reference in zip(predictions, references, strict=True):
        found = scorer.score(reference, prediction)
        scores.append([100.0 * found[name.replace("-l", "-L").replace("-", "")].fmeasure for name in ROUGE_METRICS])
    return np.array(scores)


def _rouge_scorer():
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise MassError(f"the package rouge-score cannot be imported ({error}); install it: pip install "
                        f"rouge-score==0.1.2") from error
    from rouge_score.tokenizers import DefaultTokenizer, Tokenizer

    class TokenizerWithUnknown(Tokenizer):
        """The default tokenizer, which would make the same word of an unknown token in prediction and reference."""

        def __init__(self):
            self._default = DefaultTokenizer(use_stemmer=True)

        def tokenize(self, text: str) -> list[str]:
            pieces = _UNKNOWN_PATTERN.split(text)
            return [token for number, piece in enumerate(pieces)
                    for token in ([piece] if number % 2 else self._default.tokenize(piece))]

    return RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=TokenizerWithUnknown())


def _has_words(text: str) -> bool:
    """Return whether the package finds words: it splits texts at full stops and drops empty pieces."""
    return any(piece.strip() for piece in text.split("."))
