"""Averaging the weights of several checkpoints, and choosing the checkpoints of a run to average."""
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from config.config import Config
from config.loading import load_config
from src.checkpoints.compatibility import NetworkUse, VocabularyUse, require_same_network, require_same_vocabulary
from src.checkpoints.descriptions import copy_descriptions
from src.checkpoints.files import CONFIG_FILE, numbered_files, require_weights_name
from src.checkpoints.resume import load_intact_weights
from src.checkpoints.validation_history import score_of
from src.common.errors import MassError, UsageError
from src.common.files import require_folder
from src.common.output_checks import find_repeated_file, require_different_files
from src.utils.load_weights import READERS, Weights, save_weights
from src.utils.monitoring.metrics_file import TRAINING_METRICS_FILE, read_metrics
from src.utils.ppl_score import perplexity


@dataclass(frozen=True)
class Candidate:
    """A checkpoint of a run, and what the run's best_metric measured at its step if that step was validated."""

    path: str
    step: int
    metric: str  # training_config.best_metric
    score: float | None  # the greater the better, see score_of

    def __str__(self) -> str:
        if self.score is None:
            return f"{self.path} (not validated)"
        if self.metric == "perplexity":
            return f"{self.path} (validation perplexity {perplexity(-self.score, 1):.2f})"
        return f"{self.path} (validation {self.metric.upper()} {self.score:.2f})"


def find_candidates(folder: str) -> list[Candidate]:
    """Return the checkpoints `<prefix>-<step>` of a run folder by step.

    `best` and `latest` are not listed, because they are copies of numbered checkpoints.

    Raises:
        MassError: there is none, or they are of more than one run: they have two prefixes, or two have the same step.
    """
    require_folder(folder, "input folder")
    found = [file for file in numbered_files(folder) if file.ending in READERS]
    if not found:
        raise MassError(f"input folder {folder!r} holds no checkpoint <prefix>-<step> ({', '.join(READERS)})")
    for file, following in zip(found, found[1:], strict=False):
        if file.prefix != following.prefix or file.step == following.step:
            raise MassError(f"input folder {folder!r} holds checkpoints of more than one run ({file.name}, "
                            f"{following.name}): name those to average with --input_files")
    config = os.path.join(folder, CONFIG_FILE)
    metric = (load_config(config) if os.path.exists(config) else Config()).training_config.best_metric
    scores = _scores(folder, metric)
    return [Candidate(os.path.join(folder, file.name), file.step, metric, scores.get(file.step)) for file in found]


def newest(candidates: Sequence[Candidate], count: int) -> list[Candidate]:
    """Return the `count` candidates of the highest steps. Raises MassError if there are fewer."""
    _require(len(candidates), count, "checkpoints")
    return sorted(candidates, key=lambda candidate: candidate.step)[-count:]


def best(candidates: Sequence[Candidate], count: int) -> list[Candidate]:
    """Return the `count` candidates of the best validations by the run's best_metric, best first.

    Raises:
        MassError: fewer were validated.
    """
    validated = [candidate for candidate in candidates if candidate.score is not None]
    _require(len(validated), count, f"checkpoints with a validation of their step in {TRAINING_METRICS_FILE} (of "
                                    f"{len(candidates)} in all; save_ckpt_steps and valid_steps should have a common "
                                    f"multiple)")
    return sorted(validated, key=lambda candidate: (-candidate.score, candidate.step))[:count]


def average_weights(paths: Sequence[str], output: str) -> None:
    """Write the mean of the weights of several checkpoints to the `.npz` file `output`.

    The sums are in float64. Besides the sums, only one file is in memory at a time. The result has the vocabulary and
    the configuration of the first file; the vocabulary and text.json beside that file are copied to the folder of the
    output, so that the folder is a model.

    Raises:
        MassError: a file cannot be read, has a value that is not finite, or has another network or vocabulary than the
            first, or the folder of the output holds the vocabulary or text.json of another model; nothing is written.
        UsageError: a file is given twice, by names that are links to it too, or is an optimizer state; or the output is
            one of the files, or a device.
    """
    for path in paths:
        require_weights_name(path)
    if repeated := find_repeated_file(paths):
        raise UsageError(f"the same checkpoint is given twice: {repeated[0]!r} and {repeated[1]!r} are one file")
    require_different_files([("one of the checkpoints", path) for path in paths], [("the output file", output)])
    first, sums, steps = None, {}, []
    for path in paths:
        weights = load_intact_weights(path)
        first = first or _Common.of(weights)
        first.check(weights)
        steps.append(weights.metadata.get("step"))
        for name in list(weights.arrays):
            _add(sums, name, weights.arrays.pop(name), path)  # removed from the file's arrays to free the memory
    means = {name: (sums.pop(name) / len(paths)).astype(dtype) for name, dtype in first.dtypes.items()}
    copy_descriptions(paths[0], first.metadata, os.path.dirname(output) or ".")
    save_weights(output, means, {**first.metadata, "step": steps,
                                 "averaged": [os.path.basename(path) for path in paths]})


@dataclass(frozen=True)
class _Common:
    """What the checkpoints to average must have in common, taken from the first of them."""

    network: NetworkUse
    vocabulary: VocabularyUse | None
    dtypes: dict[str, np.dtype]
    metadata: dict[str, Any]

    @classmethod
    def of(cls, weights: Weights) -> "_Common":
        return cls(NetworkUse.of_weights(weights), VocabularyUse.of_weights(weights.path, weights.metadata),
                   {name: array.dtype for name, array in weights.arrays.items()}, weights.metadata)

    def check(self, weights: Weights) -> None:
        """Raise a MassError if a checkpoint has another network or vocabulary."""
        other = _Common.of(weights)
        advice = "leave one of these checkpoints out"
        require_same_network(self.network, other.network, advice)
        if self.vocabulary and other.vocabulary:
            require_same_vocabulary(self.vocabulary, other.vocabulary, advice)


def _add(sums: dict[str, np.ndarray], name: str, array: np.ndarray, path: str) -> None:
    if not np.isfinite(array).all():
        raise MassError(f"{path!r} holds values of {name} that are not finite: leave this checkpoint out")
    if name in sums:
        sums[name] += array
    else:
        sums[name] = array.astype(np.float64)


def _scores(folder: str, metric: str) -> dict[int, float]:
    """Return the score of the validation by step; empty if the run has no metrics file."""
    path = os.path.join(folder, TRAINING_METRICS_FILE)
    if not os.path.exists(path):
        return {}
    figures = {entry["step"]: {name: value for name, value in entry.items() if value is not None}
               for entry in read_metrics(path) if entry["event"] == "valid"}
    scores = {step: score_of(entry, metric) for step, entry in figures.items()}
    return {step: score for step, score in scores.items() if score is not None and math.isfinite(score)}


def _require(found: int, count: int, what: str) -> None:
    if count < 1:
        raise UsageError(f"cannot average {count} checkpoints: at least 1")
    if found < count:
        raise MassError(f"asked for {count}, but there are only {found} {what}")
