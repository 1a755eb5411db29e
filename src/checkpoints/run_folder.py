"""Bringing a run folder into the state in which it was when a checkpoint was written."""
import os

from src.checkpoints.files import BEST, LATEST, SET_ASIDE, CheckpointFiles, list_checkpoints
from src.checkpoints.resume import ResumePoint
from src.checkpoints.write import link_or_copy, move_aside
from src.common.errors import MassError
from src.common.files import copy_atomically
from src.utils.load_weights import read_metadata
from src.utils.monitoring.metrics_file import TRAINING_METRICS_FILE


def restore_run_folder(folder: str, prefix: str, resumed: ResumePoint) -> list[str]:
    """Make a run folder that of a run at the checkpoint from which it is resumed; return lines for the user.

    Checkpoints of later steps are set aside, and `latest` and `best` are made what they were. If the checkpoint is in
    another folder, it is copied, and so are the metrics: the run can be resumed and evaluated from either folder then.

    Args:
        prefix: checkpoint_options.ckpt_prefix.
    """
    lines = []
    if resumed.is_in(folder):
        lines = _set_later_aside(folder, prefix, resumed.state.step)
    elif resumed.files == CheckpointFiles.of_step(resumed.files.folder, prefix, resumed.state.step):
        for path in reversed(resumed.files.paths):  # the training state last, which makes a checkpoint complete
            link_or_copy(path, os.path.join(folder, os.path.basename(path)))
    link_or_copy(resumed.files.weights, os.path.join(folder, LATEST))
    lines += _restore_best(folder, prefix, resumed)
    metrics = os.path.join(resumed.files.folder, TRAINING_METRICS_FILE)
    if not resumed.is_in(folder) and os.path.isfile(metrics):  # last, as they make the folder that of a run
        copy_atomically(metrics, os.path.join(folder, TRAINING_METRICS_FILE))
    return lines


def _set_later_aside(folder: str, prefix: str, step: int) -> list[str]:
    later = [files for files in list_checkpoints(folder, prefix) if files.step > step]
    if not later:
        return []
    for files in later:
        move_aside(folder, files.paths)
    return [f"{len(later)} checkpoints of steps after {step} are now in {os.path.join(folder, SET_ASIDE)!r}"]


def _restore_best(folder: str, prefix: str, resumed: ResumePoint) -> list[str]:
    """Make `best` the weights of the best validation up to the checkpoint, if they still exist."""
    best, step, lines = os.path.join(folder, BEST), resumed.state.validation.best_step, []
    if os.path.isfile(best):
        if _step_of(best) == step:
            return []
        move_aside(folder, [best])
        lines.append(f"{BEST} is not of the validations up to step {resumed.state.step} and is now in "
                     f"{os.path.join(folder, SET_ASIDE)!r}")
    if step is None:
        return lines
    earlier = resumed.files.folder
    for path in (os.path.join(earlier, BEST), CheckpointFiles.of_step(earlier, prefix, step).weights):
        if os.path.isfile(path) and _step_of(path) == step:
            link_or_copy(path, best)
            return lines
    return [*lines, f"the weights of the best validation so far, of step {step}, were not kept: there is no {BEST} "
                    f"until a validation is better"]


def _step_of(path: str) -> object:
    """Return the step of weights as their file tells it, None if it does not."""
    try:
        return read_metadata(path).get("step")
    except MassError:
        return None
