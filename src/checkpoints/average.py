"""The mean of several checkpoints' weights, and which checkpoints to take."""
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from src.common.errors import MassError, UsageError
from src.common.files import require_folder
from src.utils.load_weights import READERS, SHAPELESS_KEYS, Weights, load_weights, save_weights
from src.utils.monitoring.metrics_file import TRAINING_METRICS_FILE, read_metrics

CHECKPOINT = re.compile(r"(.+)-(\d+)(?:" + "|".join(map(re.escape, READERS)) + ")")


@dataclass(frozen=True)
class Candidate:
    """A checkpoint of a run, and the validation perplexity of its step if it was validated."""

    path: str
    step: int
    ppl: float | None

    def __str__(self) -> str:
        ppl = "not validated" if self.ppl is None else f"validation perplexity {self.ppl:.2f}"
        return f"{self.path} ({ppl})"


def find_checkpoints(folder: str) -> list[Candidate]:
    """The checkpoints `<prefix>-<step>` of a run's folder by their steps.

    `best` and `latest` are not listed: they are among them. Nor is the state of training that stands beside them.

    Raises:
        MassError: there is none, or they are of more than one run: of two prefixes, or two of one step.
    """
    require_folder(folder, "input folder")
    found = sorted((int(match[2]), name, match[1]) for name in os.listdir(folder)
                   if (match := CHECKPOINT.fullmatch(name)))
    if not found:
        raise MassError(f"input folder {folder!r} holds no checkpoint <prefix>-<step> ({', '.join(READERS)})")
    for (step, name, prefix), (next_step, next_name, next_prefix) in zip(found, found[1:], strict=False):
        if prefix != next_prefix or step == next_step:
            raise MassError(f"input folder {folder!r} holds checkpoints of more than one run ({name}, {next_name}): "
                            f"name those to average with --input_files")
    perplexities = _perplexities(folder)
    return [Candidate(os.path.join(folder, name), step, perplexities.get(step)) for step, name, _ in found]


def newest(candidates: Sequence[Candidate], count: int) -> list[Candidate]:
    """The last `count` by their steps. Raises MassError if there are fewer."""
    _require(len(candidates), count, "checkpoints")
    return sorted(candidates, key=lambda candidate: candidate.step)[-count:]


def best(candidates: Sequence[Candidate], count: int) -> list[Candidate]:
    """The `count` of lowest validation perplexity, best first. Raises MassError if fewer were validated."""
    validated = [candidate for candidate in candidates if candidate.ppl is not None]
    _require(len(validated), count, f"checkpoints with a validation of their step in {TRAINING_METRICS_FILE} (of "
                                    f"{len(candidates)} in all; save_ckpt_steps and valid_steps should have a common "
                                    f"multiple)")
    return sorted(validated, key=lambda candidate: (candidate.ppl, candidate.step))[:count]


def average_weights(paths: Sequence[str], output: str) -> None:
    """Write the mean of the checkpoints to the `.npz` file `output`.

    Sums in float64. Besides the sums, one file is in memory at a time. The result keeps the first file's vocabulary
    and configuration.

    Raises:
        MassError: a file cannot be read, holds a value that is not finite, or differs from the first in names, shapes,
            vocabulary, heads or activation; nothing is written.
        UsageError: a file is given twice, or is the output as well.
    """
    real_paths = [os.path.realpath(path) for path in paths]
    if len(set(real_paths)) < len(paths):
        raise UsageError("the same checkpoint is given twice")
    if os.path.realpath(output) in real_paths:
        raise UsageError(f"output file {output!r} is one of the checkpoints to average: name another")
    first, sums, steps = None, {}, []
    for path in paths:
        weights = load_weights(path)
        first = first or _Description.of(weights)
        first.require_alike(weights)
        steps.append(weights.metadata.get("step"))
        for name in list(weights.arrays):
            _add(sums, name, weights.arrays.pop(name), path)  # popped: what is added up is not needed any more
    means = {name: (sums.pop(name) / len(paths)).astype(dtype) for name, dtype in first.dtypes.items()}
    save_weights(output, means, {**first.metadata_beside(output), "step": steps,
                                 "averaged": [os.path.basename(path) for path in paths]})


def _add(sums: dict[str, np.ndarray], name: str, array: np.ndarray, path: str) -> None:
    if not np.isfinite(array).all():
        raise MassError(f"{path!r} holds values of {name} that are not finite: leave this checkpoint out")
    if name in sums:
        sums[name] += array
    else:
        sums[name] = array.astype(np.float64)


@dataclass(frozen=True)
class _Description:
    """What the checkpoints to average must have in common, taken from the first of them."""

    path: str
    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, np.dtype]
    metadata: dict[str, Any]

    @classmethod
    def of(cls, weights: Weights) -> "_Description":
        arrays = weights.arrays
        return cls(weights.path, {name: array.shape for name, array in arrays.items()},
                   {name: array.dtype for name, array in arrays.items()}, weights.metadata)

    def require_alike(self, other: Weights) -> None:
        """Raise a MassError that names both files and what differs."""
        for name in sorted(self.shapes.keys() ^ other.arrays.keys()):
            holder, lacking = (self.path, other.path) if name in self.shapes else (other.path, self.path)
            raise MassError(f"{lacking!r} lacks {name}, which {holder!r} has: they are of different networks")
        for name, shape in self.shapes.items():
            if shape != other.arrays[name].shape:
                raise MassError(f"{name} has shape {list(shape)} in {self.path!r} and "
                                f"{list(other.arrays[name].shape)} in {other.path!r}: they are of different networks")
        models = [metadata.get("config", {}).get("model_config", {}) for metadata in (self.metadata, other.metadata)]
        for key in SHAPELESS_KEYS:
            values = [model.get(key) for model in models]
            if None not in values and values[0] != values[1]:
                raise MassError(f"model_config.{key} is {values[0]!r} in {self.path!r} and {values[1]!r} in "
                                f"{other.path!r}: they are of different networks")
        prints = [metadata.get("vocabulary", {}).get("fingerprint") for metadata in (self.metadata, other.metadata)]
        if None not in prints and prints[0] != prints[1]:
            raise MassError(f"{self.path!r} and {other.path!r} were trained with different vocabularies "
                            f"({prints[0][:12]} and {prints[1][:12]})")

    def metadata_beside(self, output: str) -> dict[str, Any]:
        """The metadata, its vocabulary file seen from the folder of `output`."""
        vocabulary = self.metadata.get("vocabulary")
        if not vocabulary:
            return self.metadata
        path = os.path.abspath(os.path.join(os.path.dirname(self.path), vocabulary["file"]))
        file = os.path.relpath(path, os.path.abspath(os.path.dirname(output)))
        return {**self.metadata, "vocabulary": {**vocabulary, "file": file}}


def _perplexities(folder: str) -> dict[int, float]:
    """Validation perplexity by step, of a run that has a metrics file."""
    path = os.path.join(folder, TRAINING_METRICS_FILE)
    if not os.path.exists(path):
        return {}
    return {entry["step"]: entry["ppl"] for entry in read_metrics(path)
            if entry["event"] == "valid" and entry["ppl"] is not None and math.isfinite(entry["ppl"])}


def _require(found: int, count: int, what: str) -> None:
    if count < 1:
        raise UsageError(f"cannot average {count} checkpoints: at least 1")
    if found < count:
        raise MassError(f"asked for {count}, but there are only {found} {what}")
