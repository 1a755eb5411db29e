"""Evaluation of a model on a test set."""
import math
import sys
from typing import Any

from src.checkpoints.find import ModelFiles
from src.common.errors import UsageError
from src.common.files import file_digest
from src.inference.evaluation.bootstrap import bootstrap_intervals
from src.inference.evaluation.metrics.metric import Measurement
from src.inference.evaluation.model_outputs import ModelOutputs, score_targets, search_predictions
from src.inference.evaluation.options import EvaluationOptions
from src.inference.evaluation.signature import search_signature
from src.inference.examples import ExampleSet
from src.inference.model import load_model
from src.inference.output import METRICS_FILE, check_metrics, write_metrics, write_predictions
from src.transformer.decoding.options import SearchOptions


def evaluate(files: ModelFiles, examples: ExampleSet, options: EvaluationOptions) -> dict[str, Any]:
    """Compute the metric of all examples, write the outputs, and return the entries of metrics.json.

    Call `options.check` first.

    Raises:
        UsageError: the metric needs pairs and the examples are sentences, or other scores would be replaced.
        MassError: the model cannot be loaded.
    """
    metric = options.metric
    if metric.needs_pairs and not examples.pairs:
        raise UsageError(f"--metric {metric.name} needs pairs, but dataset_config.test_dataset holds sentences")
    if metric.needs_pairs:
        metric.check_targets(map(examples.texts["target"], range(len(examples))))
    subject = {"test_dataset": list(examples.names), "test_digest": examples.digest, "checkpoint": files.checkpoint,
               "checkpoint_step": files.step, "checkpoint_digest": file_digest(files.checkpoint),
               "vocabulary_fingerprint": files.vocabulary.fingerprint}
    signature = {}
    if metric.searches:
        model_config = files.config.model_config
        search = SearchOptions.from_config(model_config)
        signature = {metric.signature_key: search_signature(metric, search, model_config.decode_compute_type,
                                                            files.vocabulary, options.confidence)}
    check_metrics(options.output, {**subject, **signature}, options.overwrite)
    model = load_model(files)
    outputs = (search_predictions if metric.searches else score_targets)(model, examples)
    write_predictions(options.output, outputs.entries)  # before anything else can fail: the search may take hours
    measurement = metric.measure(outputs.entries)
    if not all(map(math.isfinite, measurement.scores.values())):
        print(f"warning: {metric.name} is not finite (null in {METRICS_FILE}); has the training of this model "
              f"diverged?", file=sys.stderr, flush=True)
    flaws = _flaws_of_references(outputs, examples) if metric.searches else {}
    metrics = {**measurement.counts, metric.name: measurement.scores,
               f"{metric.name}_interval": _intervals(measurement) if options.confidence else None,
               **flaws, **signature, "sentences": len(examples), "computation": model.computation, **subject}
    write_metrics(options.output, metrics)
    if options.report:
        from src.inference.evaluation.report import write_report  # matplotlib takes a second to import

        write_report(options.report, metric, model, examples, outputs, measurement.sentence_scores, metrics)
    return metrics


def _intervals(measurement: Measurement) -> dict[str, list[float]]:
    intervals = bootstrap_intervals(measurement.terms, measurement.scores_from_sums)
    return {name: list(interval) for name, interval in zip(measurement.scores, intervals, strict=True)}


def _flaws_of_references(outputs: ModelOutputs, examples: ExampleSet) -> dict[str, int]:
    """Return how many tokens of the references are unknown, and how many references were truncated."""
    return {"unknown_in_references": sum(entry["target"].count("<unk>") for entry in outputs.entries),
            "truncated_references": examples.records.info.flawed.get("target truncated", 0)}
