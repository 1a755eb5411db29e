"""ROUGE on words (Lin, 2004), by the package `rouge`."""
from collections.abc import Sequence
from importlib.metadata import version

ROUGE_METRICS = ("rouge-1", "rouge-2", "rouge-l")


def rouge_scores(predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """F1 of ROUGE-1, 2 and L in percent, averaged over all pairs; words are what blanks and full stops separate.

    As the package counts by default, an n-gram that stands several times in a text counts once. A pair with a side that
    holds no word scores 0 (the package refuses such texts).
    """
    from rouge import Rouge

    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions for {len(references)} references")
    if not predictions:
        raise ValueError("ROUGE of no sentences")
    scored = [pair for pair in zip(predictions, references, strict=True) if all(map(_has_words, pair))]
    if not scored:
        return dict.fromkeys(ROUGE_METRICS, 0.0)
    scorer = Rouge(metrics=list(ROUGE_METRICS), stats=["f"], exclusive=True)
    means = scorer.get_scores(*map(list, zip(*scored, strict=True)), avg=True)
    return {name: 100.0 * means[name]["f"] * len(scored) / len(predictions) for name in ROUGE_METRICS}


def rouge_signature() -> str:
    """Tool, version and options, to stand beside every score."""
    return (f"rouge {version('rouge')}, F1 x100, distinct n-grams, words split at blanks and full stops, no stemming, "
            f"case kept")


def _has_words(text: str) -> bool:
    """Whether the package finds anything to score: it cuts texts at full stops and drops empty pieces."""
    return any(piece.strip() for piece in text.split("."))
