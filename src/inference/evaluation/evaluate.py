"""Answers and scores of a test set: what stands in metrics.json, and what a report shows."""
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from src.checkpoints.find import ModelFiles
from src.common.errors import UsageError
from src.dataset.records.record_set import RecordSet
from src.inference.evaluation.bootstrap import SAMPLES, Interval, bootstrap_intervals
from src.inference.examples import Examples
from src.inference.generation import generate
from src.inference.model import Model, load_model
from src.inference.options import EvaluationOptions
from src.inference.output import check_metrics, write_answers, write_metrics
from src.inference.predictions import best_answers, scores_of_answers
from src.inference.scoring import target_log_probs
from src.transformer.decoding.options import SearchOptions
from src.transformer.transformer_for_infer import TransformerForInfer
from src.utils.dictionary import Dictionary
from src.utils.ppl_score import perplexities
from src.utils.rouge_score import ROUGE_METRICS, rouge_signature


class Measured(NamedTuple):
    """What one metric found out."""

    answers: list[dict[str, Any]]  # of each example, as the output file has them
    figures: dict[str, Any]  # for metrics.json
    sentence_scores: np.ndarray  # [n], higher is better: ROUGE-L in percent, or mean log-probability of a symbol
    shown_ids: list[tuple[int, ...]]  # the symbols of each answer, or of the target: what attention is shown of


def evaluate(files: ModelFiles, examples: Examples, options: EvaluationOptions) -> dict[str, Any]:
    """Answer (`rouge`) or score (`ppl`) all examples; returns what metrics.json holds.

    Call `options.check` first.

    Raises:
        UsageError: the examples are not of the kind that the metric needs, or other scores would be replaced.
        MassError: the model cannot be loaded.
    """
    if options.metric == "rouge" and not examples.pairs:
        raise UsageError("--metric rouge answers pairs, but dataset_config.test_dataset holds sentences")
    subject = {"test_dataset": list(examples.names), "checkpoint": files.checkpoint, "checkpoint_step": files.step,
               "vocabulary_fingerprint": files.vocabulary.fingerprint}
    search = SearchOptions.from_config(files.config.model_config)
    signed = {"signature": signature(search, files.vocabulary, options)} if options.metric == "rouge" else {}
    check_metrics(options.output, {**subject, **signed}, options.overwrite)
    model = load_model(files)
    measured = _rouge(model, examples, options) if options.metric == "rouge" else _ppl(model, examples, options)
    write_answers(options.output, measured.answers)
    metrics = {**measured.figures, **signed, "sentences": len(examples), **subject}
    write_metrics(options.output, metrics)
    if options.report:
        from src.inference.evaluation.report import write_report  # matplotlib takes a second to import

        write_report(options.report, options.metric, model, examples, measured, metrics)
    return metrics


def _rouge(model: Model, examples: Examples, options: EvaluationOptions) -> Measured:
    config, vocabulary = model.files.config, model.files.vocabulary
    search = SearchOptions.from_config(config.model_config)
    infer = TransformerForInfer(model.network.transformer, config.dataset_config.eval_batch_size, search)
    found = generate(infer, examples.batches(config))
    answers = list(best_answers(examples, found, vocabulary, config.model_config.copy_unk))
    scores = scores_of_answers(answers, options.tool)
    interval = None
    if options.confidence:
        interval = _named(ROUGE_METRICS, bootstrap_intervals(scores, lambda sums: sums / len(scores)))
    figures = {"rouge": dict(zip(ROUGE_METRICS, map(float, scores.mean(0)), strict=True)), "rouge_interval": interval,
               "unknown_in_references": sum(answer["target"].count("<unk>") for answer in answers),
               "truncated_references": examples.records.info.flawed.get("target truncated", 0)}
    return Measured(answers, figures, scores[:, -1], [hypotheses[0].ids for hypotheses in found])


def signature(search: SearchOptions, vocabulary: Dictionary, options: EvaluationOptions) -> str:
    """All that ROUGE depends on beside model and data, to stand beside every score."""
    parts = [rouge_signature(options.tool)]
    if search.sampling:
        parts.append("sampling: " + ", ".join(f"{name} {value:g}" for name, value in search.sampling._asdict().items()))
    else:
        parts += [f"beam {search.beam_width}", f"length penalty {search.length_penalty_weight:g}"]
    parts += [f"at least {search.min_length} symbols"] * (search.min_length > 1)
    parts.append(f"at most {search.max_length} symbols")
    parts += [f"no {search.no_repeat_ngram_size}-gram twice"] * (search.no_repeat_ngram_size > 0)
    parts += ["no <unk>"] * search.ban_unk + ["<unk> copied from the source"] * search.attention
    parts.append(f"vocabulary {vocabulary.fingerprint[:12]}")
    parts += [f"95% intervals from {SAMPLES} bootstrap samples"] * options.confidence
    return ", ".join(parts)


def _ppl(model: Model, examples: Examples, options: EvaluationOptions) -> Measured:
    scores = target_log_probs(model.network, examples.batches(model.files.config))
    answers = [{**{name: text(index) for name, text in examples.texts.items()}, "log_prob": float(log_prob),
                "symbols": int(symbols)}
               for index, (log_prob, symbols) in enumerate(zip(*scores, strict=True))]
    nll, subwords = -float(scores.log_probs.sum()), int(scores.symbols.sum())
    figures: dict[str, Any] = {"nll": nll, "target_symbols": subwords}
    counts = [scores.symbols]  # by which perplexity is counted
    if examples.pairs:  # a fragment has no whole words to count
        counts.append(np.array([count_words(answer["target"]) for answer in answers]))
        figures["target_words"] = int(counts[1].sum())
    names = ("subword", "word")[: len(counts)]
    both = perplexities(nll, subwords, figures.get("target_words", subwords))
    figures["ppl"] = {name: getattr(both, name) for name in names}
    figures["ppl_interval"] = None
    if options.confidence:
        values = np.stack([-scores.log_probs, *counts], axis=1)
        with np.errstate(over="ignore"):
            figures["ppl_interval"] = _named(
                names, bootstrap_intervals(values, lambda sums: np.exp(sums[:, :1] / sums[:, 1:])))
    return Measured(answers, figures, scores.log_probs / scores.symbols, _target_ids(examples.records))


def count_words(text: str) -> int:
    """Words of a text, between spaces, and one for </s>."""
    return 1 + sum(map(bool, text.split(" ")))


def _target_ids(records: RecordSet) -> list[tuple[int, ...]]:
    if "target" not in records.columns:
        return []
    target = records.columns["target"]
    return [tuple(target[index].tolist()) for index in range(len(target))]


def _named(names: Iterable[str], intervals: list[Interval]) -> dict[str, list[float]]:
    return {name: list(interval) for name, interval in zip(names, intervals, strict=True)}
