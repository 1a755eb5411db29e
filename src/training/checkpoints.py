"""The checkpoints of a run: <prefix>-<step>, `latest` and `best`, all written whole or not at all."""
import dataclasses
import os
import re
from typing import Any

from mindspore import nn

from config.config import Config
from src.transformer.weights import network_arrays
from src.utils.errors import UsageError
from src.utils.files import copy_atomically, make_output_folder
from src.utils.load_weights import save_weights
from src.utils.monitoring.metrics_file import METRICS_FILE


def require_no_run(folder: str) -> None:
    """Refuse a folder that holds an earlier run, or cannot be one."""
    if os.path.exists(os.path.join(folder, METRICS_FILE)):
        raise UsageError(f"{folder!r} holds an earlier run ({METRICS_FILE}): move it away, or name another folder as "
                         f"checkpoint_options.ckpt_path")
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise UsageError(f"checkpoint_options.ckpt_path {folder!r} is a file; name a folder")


class Checkpoints:
    """Writes checkpoints into `folder` and keeps the newest `keep_ckpt_max`.

    Beside them stands a copy of the vocabulary.
    """

    def __init__(self, folder: str, config: Config, vocabulary: dict[str, Any], vocabulary_path: str):
        make_output_folder(folder)
        self.folder = folder
        self._config = config
        self._vocabulary = vocabulary
        destination = os.path.join(folder, vocabulary["file"])
        if not os.path.exists(destination):
            copy_atomically(vocabulary_path, destination)

    def save(self, network: nn.Cell, step: int) -> str:
        """Write `<prefix>-<step>.safetensors` and `latest.safetensors`; returns the first's path."""
        path = self._write(network, step, f"{self._config.checkpoint_options.ckpt_prefix}-{step}")
        copy_atomically(path, os.path.join(self.folder, "latest.safetensors"))
        self._drop_old()
        return path

    def save_best(self, network: nn.Cell, step: int) -> None:
        """Write `best.safetensors`."""
        self._write(network, step, "best")

    def _write(self, network: nn.Cell, step: int, name: str) -> str:
        path = os.path.join(self.folder, f"{name}.safetensors")
        metadata = {"step": step, "vocabulary": self._vocabulary, "config": dataclasses.asdict(self._config)}
        save_weights(path, network_arrays(network), metadata)
        return path

    def _drop_old(self) -> None:
        options = self._config.checkpoint_options
        pattern = re.compile(re.escape(options.ckpt_prefix) + r"-(\d+)\.safetensors")
        steps = sorted(int(match[1]) for name in os.listdir(self.folder) if (match := pattern.fullmatch(name)))
        for step in steps[: -options.keep_ckpt_max]:
            os.remove(os.path.join(self.folder, f"{options.ckpt_prefix}-{step}.safetensors"))
