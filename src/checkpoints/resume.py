"""Finding the checkpoint that a run is resumed from."""
import os
from dataclasses import dataclass
from typing import Any

from src.checkpoints.files import (
    OPTIMIZER_STATE,
    TRAINING_STATE,
    WEIGHTS,
    CheckpointFiles,
    list_checkpoints,
    numbered_files,
    stamp,
)
from src.checkpoints.training_state import TrainingState
from src.common.errors import MassError, UsageError
from src.common.json_files import MAX_BYTES
from src.common.regular_files import read_bounded
from src.utils.load_weights import Weights, load_weights, read_metadata


@dataclass(frozen=True)
class ResumePoint:
    """The checkpoint that a run is resumed from."""

    files: CheckpointFiles
    state: TrainingState

    def is_in(self, folder: str) -> bool:
        """Return whether the checkpoint is in a folder."""
        return os.path.realpath(self.files.folder) == os.path.realpath(folder)


def find_resume_point(where: str, folder: str, prefix: str) -> ResumePoint | None:
    """Find the checkpoint to resume from.

    Args:
        where: the argument of --resume: a checkpoint, a folder, or "" for the run folder.
        folder: the run folder.
        prefix: checkpoint_options.ckpt_prefix.

    Returns:
        The named checkpoint, or the newest complete one of the folder. None if `where` is "" and the run folder has no
        complete checkpoint yet: a new run starts.

    Raises:
        MassError: the named checkpoint is missing, renamed or damaged, all checkpoints of the folder are damaged, or
            they have another prefix.
        UsageError: `where` is a weights file without a training state.
    """
    if where and not os.path.isdir(where):
        files = _named_checkpoint(where, prefix)
        return ResumePoint(files, read_training_state(files))
    found = _newest_complete(where or folder, prefix)
    if not found:
        _require_no_other_prefix(where or folder, prefix)
    if where and not found:
        raise MassError(f"--resume {where!r}: the folder holds no checkpoint {prefix}-<step> with its training state")
    return found


def read_training_state(files: CheckpointFiles, with_optimizer: bool = True) -> TrainingState:
    """Read the training state of a checkpoint after a check that its files are intact, all three of them or two.

    Raises:
        MassError: a file is missing or damaged.
    """
    for path in files.paths if with_optimizer else (files.training_state, files.weights):
        if not os.path.isfile(path):
            raise MassError(f"{path!r} is missing")
    try:
        state, more = TrainingState.from_json(read_bounded(files.training_state, MAX_BYTES).decode(errors="replace"))
    except (MassError, ValueError) as error:
        raise MassError(f"{files.training_state!r}: {error}") from error
    stamps = more.get("files")
    _require_own_names(files, stamps)
    for path in (files.weights, files.optimizer_state)[: 1 + with_optimizer]:
        if not isinstance(stamps, dict) or stamp(path) != stamps.get(os.path.basename(path)):
            raise MassError(f"{path!r}: it is damaged (its size or checksum differs)")
    return state


def _require_own_names(files: CheckpointFiles, stamps: Any) -> None:
    """Raise a MassError if a checkpoint was renamed: its state describes the other two files under their old names."""
    written = [name for name in stamps if name.endswith(WEIGHTS) and not name.endswith(OPTIMIZER_STATE)] \
        if isinstance(stamps, dict) else []
    if len(written) == 1 and written[0] != os.path.basename(files.weights):
        old, new = (os.path.basename(name).removesuffix(WEIGHTS) for name in (written[0], files.weights))
        raise MassError(f"{files.training_state!r}: this checkpoint was written as {old!r} and renamed: give its files "
                        f"their old names ({old}{WEIGHTS}, {old}{OPTIMIZER_STATE}, {old}{TRAINING_STATE}), in another "
                        f"folder if {new!r} was to be kept")


def load_intact_weights(path: str) -> Weights:
    """Read the weights of a network, which are compared with a checksum: their own, or else that of a training state.

    Raises:
        MassError: the file is missing, damaged or not a weights file, or its arrays are not of floating-point numbers.
    """
    weights = load_weights(path)
    files = CheckpointFiles(path.removesuffix(WEIGHTS))
    if not weights.checked and path == files.weights and os.path.isfile(files.training_state):
        read_training_state(files, with_optimizer=False)
    for name, array in weights.arrays.items():
        if array.dtype.kind != "f":
            raise MassError(f"{path!r}: {name} holds numbers of type {array.dtype}, not floating-point numbers: these "
                            f"are not the weights of a network")
    return weights


def _named_checkpoint(path: str, prefix: str) -> CheckpointFiles:
    """Return the checkpoint that `path` is a file of, or a copy of whose weights (`latest`, `best`) it is."""
    if not os.path.isfile(path):
        raise MassError(f"--resume {path!r} does not exist (looked in {os.getcwd()})")
    stems = [path.removesuffix(ending) for ending in CheckpointFiles("").paths if path.endswith(ending)]
    files = CheckpointFiles(stems[0] if stems else path)
    if not os.path.exists(files.training_state):
        step = read_metadata(path).get("step")
        if type(step) is int:  # of averaged weights it is a list; whatever else it is, it is no part of a path
            files = CheckpointFiles.of_step(os.path.dirname(path), prefix, step)
    if not os.path.exists(files.training_state):
        raise UsageError(f"--resume {path!r}: these are weights without a training state "
                         f"({os.path.basename(CheckpointFiles(f'{prefix}-<step>').training_state)}): start a new run "
                         f"from them with checkpoint_options.existed_ckpt, or resume from another checkpoint")
    return files


def _require_no_other_prefix(folder: str, prefix: str) -> None:
    """Raise a MassError if a folder without a checkpoint of this prefix has checkpoints of another."""
    others = sorted({file.prefix for file in numbered_files(folder) if file.ending == TRAINING_STATE} - {prefix})
    if others:
        raise MassError(f"{folder!r} holds no checkpoint {prefix}-<step>, but checkpoints {others[0]}-<step>: were "
                        f"they renamed, or was checkpoint_options.ckpt_prefix changed from {others[0]!r} to "
                        f"{prefix!r}? Undo that, or name the checkpoint to continue from with --resume")


def _newest_complete(folder: str, prefix: str) -> ResumePoint | None:
    """Return the newest complete checkpoint of a folder; damaged ones are reported and skipped."""
    damaged, incomplete = 0, 0
    for files in reversed(list_checkpoints(folder, prefix)):
        if not os.path.exists(files.training_state):
            incomplete += 1  # the run was killed while it wrote this checkpoint, or an old version wrote it
            continue
        try:
            return ResumePoint(files, read_training_state(files))
        except MassError as error:
            damaged += 1
            print(f"warning: checkpoint {os.path.basename(files.stem)} is skipped: {error}", flush=True)
    if damaged or incomplete > 1:
        raise MassError(f"no checkpoint in {folder!r} can be resumed: they are damaged or were written without a "
                        f"training state. Start a new run in another folder, from intact weights, with "
                        f"checkpoint_options.existed_ckpt")
    return None
