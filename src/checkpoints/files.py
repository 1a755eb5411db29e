"""The files of a run folder: their names, and which checkpoints a folder holds.

A training run writes into its folder:

    config.json                         the configuration, with the size of the vocabulary
    <name>.bin                          a copy of the vocabulary, under the name it has beside the records
    text.json, codes-<hash>.bpe         how raw text is processed; written by src/text/text_processing.py
    metrics.jsonl                       the figures of the run; written, like the next two, by src/utils/monitoring
    loss_curve.png, tensorboard/        the same figures as a plot, and as TensorBoard events
    <prefix>-<step>.safetensors         a checkpoint's weights alone, as eval.py and weights_average.py read them
    <prefix>-<step>.state.safetensors   its optimizer state
    <prefix>-<step>.state.json          the rest of its training state, and checksums of the two files above
    latest.safetensors                  the weights of the newest checkpoint
    best.safetensors                    the weights of the best validation (training_config.best_metric)
    set_aside/                          weights of steps after the one the run was resumed from
    diverged-<step>-rank<rank>.txt      the batch at which training diverged, if it did

The `.state.json` of a checkpoint is written last: a checkpoint without it is incomplete and is never resumed.
"""
import hashlib
import os
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from src.common.errors import UsageError
from src.utils.load_weights import READERS
from src.utils.monitoring.metrics_file import TRAINING_METRICS_FILE

CONFIG_FILE = "config.json"
WEIGHTS, OPTIMIZER_STATE, TRAINING_STATE = ".safetensors", ".state.safetensors", ".state.json"
"""Endings of the files of a checkpoint."""
LATEST, BEST = "latest" + WEIGHTS, "best" + WEIGHTS
SET_ASIDE = "set_aside"

_NUMBERED = re.compile(r"(.+)-(\d+)(" + "|".join(map(re.escape, (*READERS, OPTIMIZER_STATE, TRAINING_STATE))) + ")")


@dataclass(frozen=True)
class CheckpointFiles:
    """The paths of a checkpoint's files; `stem` is what they have in common, `<folder>/<prefix>-<step>`."""

    stem: str

    @classmethod
    def of_step(cls, folder: str, prefix: str, step: int) -> "CheckpointFiles":
        """Return the files of the checkpoint of a step."""
        return cls(os.path.join(folder, f"{prefix}-{step}"))

    @property
    def folder(self) -> str:
        return os.path.dirname(self.stem)

    @property
    def step(self) -> int:
        return int(self.stem.rpartition("-")[2])

    @property
    def weights(self) -> str:
        return self.stem + WEIGHTS

    @property
    def optimizer_state(self) -> str:
        return self.stem + OPTIMIZER_STATE

    @property
    def training_state(self) -> str:
        return self.stem + TRAINING_STATE

    @property
    def paths(self) -> tuple[str, str, str]:
        """All files in the order in which they are removed: without the first, the checkpoint is incomplete."""
        return self.training_state, self.optimizer_state, self.weights

    def remove(self) -> None:
        """Delete the files that exist."""
        for path in self.paths:
            if os.path.exists(path):
                os.remove(path)


class NumberedFile(NamedTuple):
    """A file named `<prefix>-<step><ending>`."""

    name: str
    prefix: str
    step: int
    ending: str


def numbered_files(folder: str) -> list[NumberedFile]:
    """Return the files of checkpoints in a folder, of any prefix, by step; a folder that does not exist has none."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    found = [NumberedFile(name, match[1], int(match[2]), match[3])
             for name in names if (match := _NUMBERED.fullmatch(name))]
    return sorted(found, key=lambda file: (file.step, file.name))


def list_checkpoints(folder: str, prefix: str) -> list[CheckpointFiles]:
    """Return the checkpoints of a run by step, including incomplete ones."""
    steps = {file.step for file in numbered_files(folder)
             if file.prefix == prefix and file.ending in (WEIGHTS, OPTIMIZER_STATE, TRAINING_STATE)}
    return [CheckpointFiles.of_step(folder, prefix, step) for step in sorted(steps)]


def is_weights_file(name: str) -> bool:
    """Return whether a file is weights by its name; an optimizer state is not."""
    return os.path.splitext(name)[1] in READERS and not name.endswith(OPTIMIZER_STATE)


def require_weights_name(path: str) -> None:
    """Raise a UsageError if a file is the optimizer state of a checkpoint, whose arrays look like weights."""
    if path.endswith(OPTIMIZER_STATE):
        raise UsageError(f"{path!r} is the optimizer state of a checkpoint, not its weights: give "
                         f"{path.removesuffix(OPTIMIZER_STATE) + WEIGHTS!r}")


def stamp(path: str) -> dict[str, Any]:
    """Return the size and the checksum of a file."""
    with open(path, "rb") as stream:
        return {"bytes": os.path.getsize(path), "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}


def require_folder_for_run(folder: str) -> None:
    """Raise a UsageError if the path of the run folder is a file."""
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise UsageError(f"checkpoint_options.ckpt_path {folder!r} is a file; name a folder")


def require_no_run(folder: str) -> None:
    """Raise a UsageError if the folder holds an earlier run, or is a file."""
    require_folder_for_run(folder)
    if os.path.exists(os.path.join(folder, TRAINING_METRICS_FILE)):
        raise UsageError(f"{folder!r} holds an earlier run ({TRAINING_METRICS_FILE}): continue it with --resume, move "
                         f"it away, or name another folder as checkpoint_options.ckpt_path")
