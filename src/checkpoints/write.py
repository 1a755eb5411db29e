"""The checkpoints of a run.

A checkpoint is three files: `<prefix>-<step>.safetensors` are the weights alone, as eval.py and averaging read them;
`<prefix>-<step>.state.safetensors` is the optimizer's memory; `<prefix>-<step>.state.json` is the rest of the state and
the checksums of the other two. It is written last: a checkpoint without it does not count. `latest.safetensors` and
`best.safetensors` are weights.
"""
import dataclasses
import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mindspore import Parameter, nn

from config.config import Config
from src.checkpoints.training_state import TrainingState
from src.checkpoints.load import network_arrays
from src.common.errors import MassError, UsageError
from src.common.files import atomic_output, copy_atomically, make_output_folder
from src.utils.load_weights import save_weights
from src.utils.monitoring.metrics_file import TRAINING_METRICS_FILE

WEIGHTS, STATE, COMMIT = ".safetensors", ".state.safetensors", ".state.json"
LATEST, BEST = "latest" + WEIGHTS, "best" + WEIGHTS
SET_ASIDE = "set_aside"


@dataclass(frozen=True)
class CheckpointFiles:
    """The files of one checkpoint; `stem` is their path without the endings."""

    stem: str

    @property
    def step(self) -> int:
        return int(self.stem.rpartition("-")[2])

    @property
    def weights(self) -> str:
        return self.stem + WEIGHTS

    @property
    def state(self) -> str:
        return self.stem + STATE

    @property
    def commit(self) -> str:
        return self.stem + COMMIT

    def read_state(self) -> TrainingState:
        """The training state, after a look that all three files are whole.

        Raises:
            MassError: one is missing or damaged.
        """
        for path in (self.commit, self.state, self.weights):
            if not os.path.isfile(path):
                raise MassError(f"{path!r} is missing")
        with open(self.commit, encoding="utf-8", errors="replace") as stream:
            text = stream.read()
        try:
            state, more = TrainingState.from_json(text)
        except MassError as error:
            raise MassError(f"{self.commit!r}: {error}") from error
        for path in (self.weights, self.state):
            if _stamp(path) != more["files"][os.path.basename(path)]:
                raise MassError(f"{path!r}: it is damaged (its size or checksum is another)")
        return state

    def remove(self) -> None:
        """Delete the files, the commit first: what is left of an interrupted removal is no checkpoint."""
        for path in (self.commit, self.state, self.weights):
            if os.path.exists(path):
                os.remove(path)


class Checkpoints:
    """Writes checkpoints into `folder` and keeps the newest `keep_ckpt_max`; beside them stands the vocabulary."""

    def __init__(self, folder: str, config: Config, vocabulary: dict[str, Any], vocabulary_path: str):
        make_output_folder(folder)
        self.folder = folder
        self._options = config.checkpoint_options
        self._metadata = {"vocabulary": vocabulary, "config": dataclasses.asdict(config)}
        self._best_step = None  # of `best`, if this process wrote it
        destination = os.path.join(folder, vocabulary["file"])
        if not os.path.exists(destination):
            copy_atomically(vocabulary_path, destination)

    def save(self, network: nn.Cell, optimizer_state: Sequence[Parameter], state: TrainingState) -> str:
        """Write a checkpoint and let `latest` be its weights; returns the path of the weights."""
        files = CheckpointFiles(os.path.join(self.folder, f"{self._options.ckpt_prefix}-{state.step}"))
        files.remove()
        if state.step == self._best_step:
            link_or_copy(self._path(BEST), files.weights)
        else:
            self._write_weights(network, state.step, files.weights)
        save_weights(files.state, {parameter.name: parameter.asnumpy() for parameter in optimizer_state},
                     {"step": state.step})
        stamps = {os.path.basename(path): _stamp(path) for path in (files.weights, files.state)}
        with atomic_output(files.commit) as temporary, open(temporary, "w", encoding="utf-8") as stream:
            stream.write(state.to_json(files=stamps))
        link_or_copy(files.weights, self._path(LATEST))
        for old in checkpoints_of(self.folder, self._options.ckpt_prefix)[: -self._options.keep_ckpt_max]:
            old.remove()
        return files.weights

    def save_best(self, network: nn.Cell, step: int) -> None:
        """Let `best` be the weights of the present step."""
        self._write_weights(network, step, self._path(BEST))
        self._best_step = step

    def _write_weights(self, network: nn.Cell, step: int, path: str) -> None:
        save_weights(path, network_arrays(network), {"step": step, **self._metadata})

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)


def require_no_run(folder: str) -> None:
    """Refuse a folder that holds an earlier run, or cannot be one."""
    require_no_file(folder)
    if os.path.exists(os.path.join(folder, TRAINING_METRICS_FILE)):
        raise UsageError(f"{folder!r} holds an earlier run ({TRAINING_METRICS_FILE}): continue it with --resume, move it away, "
                         f"or name another folder as checkpoint_options.ckpt_path")


def require_no_file(folder: str) -> None:
    """Refuse a run folder that is a file."""
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise UsageError(f"checkpoint_options.ckpt_path {folder!r} is a file; name a folder")


def checkpoints_of(folder: str, prefix: str) -> list[CheckpointFiles]:
    """The checkpoints of a folder by their steps, be they complete or not."""
    pattern = re.compile(re.escape(prefix) + r"-(\d+)(?:" + "|".join(map(re.escape, (WEIGHTS, STATE, COMMIT))) + ")")
    names = os.listdir(folder) if os.path.isdir(folder) else []
    steps = sorted({int(match[1]) for name in names if (match := pattern.fullmatch(name))})
    return [CheckpointFiles(os.path.join(folder, f"{prefix}-{step}")) for step in steps]


def set_aside(checkpoints: Sequence[CheckpointFiles]) -> None:
    """Move checkpoints into the subfolder `set_aside`: a run that goes on from an earlier step will write its own."""
    for files in checkpoints:
        folder = make_output_folder(os.path.join(os.path.dirname(files.stem), SET_ASIDE))
        for path in (files.commit, files.state, files.weights):
            if os.path.exists(path):
                os.replace(path, os.path.join(folder, os.path.basename(path)))


def link_or_copy(source: str, destination: str) -> None:
    """Give a file a second name, or copy it where the file system has no hard links; whole or not at all."""
    with atomic_output(destination) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)


def _stamp(path: str) -> dict[str, Any]:
    """Size and checksum of a file."""
    with open(path, "rb") as stream:
        return {"bytes": os.path.getsize(path), "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}
