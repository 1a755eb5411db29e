"""Writing the checkpoints of a run; src/checkpoints/files.py lists the files of a checkpoint."""
import dataclasses
import os
import shutil
from collections.abc import Sequence
from typing import Any

from mindspore import Parameter, nn

from config.config import Config
from src.checkpoints.descriptions import keep_vocabulary
from src.checkpoints.files import BEST, LATEST, SET_ASIDE, CheckpointFiles, list_checkpoints, stamp
from src.checkpoints.load import network_arrays
from src.checkpoints.training_state import TrainingState
from src.common.files import atomic_output, make_output_folder
from src.common.folder_lock import require_in_place
from src.utils.load_weights import save_weights


class CheckpointWriter:
    """Writes checkpoints into a folder and keeps the newest `keep_ckpt_max` of them.

    Args:
        folder: the run folder; it is created, and the vocabulary is copied into it.
        config: the configuration of the run.
        vocabulary: the description of the vocabulary in the records: file, size and fingerprint.
        vocabulary_path: the path of the vocabulary.
    """

    def __init__(self, folder: str, config: Config, vocabulary: dict[str, Any], vocabulary_path: str):
        make_output_folder(folder)
        self.folder = folder
        self._options = config.checkpoint_options
        self._metadata = {"vocabulary": vocabulary, "config": dataclasses.asdict(config)}
        self._best_step = None  # of `best`, if this process wrote it
        keep_vocabulary(vocabulary["file"], vocabulary_path, folder)

    def save(self, network: nn.Cell, optimizer_state: Sequence[Parameter], state: TrainingState) -> str:
        """Write a checkpoint, make `latest` a copy of its weights, and return the path of the weights.

        Raises:
            MassError: the run folder was deleted, renamed or replaced meanwhile.
        """
        require_in_place(self.folder)
        files = CheckpointFiles.of_step(self.folder, self._options.ckpt_prefix, state.step)
        files.remove()
        if state.step == self._best_step:
            link_or_copy(self._path(BEST), files.weights)
        else:
            self._write_weights(network, state.step, files.weights)
        save_weights(files.optimizer_state, {parameter.name: parameter.asnumpy() for parameter in optimizer_state},
                     {"step": state.step})
        stamps = {os.path.basename(path): stamp(path) for path in (files.weights, files.optimizer_state)}
        with atomic_output(files.training_state) as temporary, open(temporary, "w", encoding="utf-8") as stream:
            stream.write(state.to_json(files=stamps))
        link_or_copy(files.weights, self._path(LATEST))
        earlier = [files for files in list_checkpoints(self.folder, self._options.ckpt_prefix)
                   if files.step < state.step]  # a later one is what a killed process left
        for old in earlier[: max(0, len(earlier) + 1 - self._options.keep_ckpt_max)]:
            old.remove()
        return files.weights

    def save_best(self, network: nn.Cell, step: int) -> None:
        """Write the weights of the present step as `best`."""
        require_in_place(self.folder)
        self._write_weights(network, step, self._path(BEST))
        self._best_step = step

    def _write_weights(self, network: nn.Cell, step: int, path: str) -> None:
        save_weights(path, network_arrays(network), {"step": step, **self._metadata})

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)


def move_aside(folder: str, paths: Sequence[str]) -> None:
    """Move the files that exist into the subfolder `set_aside` of a run folder, so that a run can write its own."""
    aside = make_output_folder(os.path.join(folder, SET_ASIDE))
    for path in paths:
        if os.path.exists(path):
            os.replace(path, os.path.join(aside, os.path.basename(path)))


def link_or_copy(source: str, destination: str) -> None:
    """Make a hard link to a file, or a copy on file systems without hard links; completely or not at all."""
    with atomic_output(destination) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
