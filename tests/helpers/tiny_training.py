"""Tiny records, a configuration that trains on them in milliseconds per step, and runs that share a compiled step."""
from pathlib import Path
from unittest import mock

import numpy as np
from mindspore import Tensor, ops

from config.config import Config
from config.loading import config_from_dict
from src.checkpoints.compatibility import with_vocabulary_of
from src.checkpoints.training_state import DataIdentity, TrainingState
from src.checkpoints.validation_history import ValidationHistory
from src.dataset.bi_data_loader import BiLingualDataLoader
from src.dataset.records.record_set import load_records
from src.runtime.device import set_up_device
from src.runtime.distributed import Ranks
from src.training.assembly import assemble_network, run_training
from src.training.data import load_training_data
from src.training.loop import TrainingResult
from src.training.start import choose_resume_point, load_start, prepare_folder
from src.utils.dictionary import Dictionary
from src.utils.loss_monitor import LossMonitor
from src.utils.monitoring import outputs
from src.utils.monitoring.metrics_file import read_metrics
from tests.helpers.records import write_records

WORDS = "abcdefgh"
MODEL = {"vocab_size": 0, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8,
         "seq_length": 8, "max_position_embeddings": 8, "max_decode_length": 8, "hidden_dropout_prob": 0.0,
         "attention_dropout_prob": 0.0, "beam_width": 2}

STATE = TrainingState(
    step=17, epoch=2, step_in_epoch=3, loss_scale=2.0**-3, good_steps=5,
    validation=ValidationHistory(1.0 / 3.0, 14, 14, 0),
    unreported={"loss": 0.1 + 0.2, "nll": 1e-17, "targets": 7, "tokens": 9},
    data=DataIdentity("pairs", 22, 170, 7, 2, 6, 50), vocabulary={"file": "v.bin", "size": 13, "fingerprint": "ab"},
    config=Config())
"""An example of a training state."""


def write_pairs(folder: Path, name: str, count: int, words: str = WORDS, seed: int = 0) -> str:
    """Write records of `count` pairs of random words and return their path."""
    generator = np.random.default_rng(seed)
    texts = []
    for side in ("source", "target"):
        lines = (" ".join(generator.choice(list(words), generator.integers(1, 7))) for _ in range(count))
        texts.append(folder / f"{name}.{side}.txt")
        texts[-1].write_text("\n".join(lines) + "\n")
    path = str(folder / f"{name}.tfrecord")
    loader = BiLingualDataLoader(*map(str, texts), Dictionary.from_counts(dict.fromkeys(words, 9)), max_len=8)
    write_records(path, loader, "train", {"noise_prob": 0.0})
    return path


def training_config(train: str, valid: str = "", **changes: dict) -> Config:
    """Return a configuration; `changes` are keys by node that differ from the usual ones."""
    return config_from_dict(training_nodes(train, valid, **changes))


def training_nodes(train: str, valid: str = "", **changes: dict) -> dict:
    """Return the same as dictionaries, as in a configuration file."""
    nodes = {
        "dataset_config": {"epochs": 1000, "batch_size": 4, "pack_sentences": False, "num_buckets": 1,
                           "fine_tune_dataset": train, "valid_dataset": valid},
        "model_config": MODEL,
        "loss_scale_config": {"loss_scale_mode": "static", "init_loss_scale": 1.0},
        "learn_rate_config": {"lr": 0.01, "warmup_steps": 4, "decay_steps": 1000},
        "checkpoint_options": {"save_ckpt_steps": 4, "keep_ckpt_max": 3},
        "training_config": {"max_steps": 12, "log_steps": 1, "valid_steps": 4},
    }
    for node, keys in changes.items():
        nodes[node] = {**nodes[node], **keys}
    return nodes


def events_of(folder: Path) -> list[dict]:
    """Return the entries of metrics.jsonl without those figures that depend on time."""
    events = read_metrics(str(folder / "metrics.jsonl"))
    return [{key: value for key, value in event.items() if key not in ("seconds", "tokens_per_second")}
            for event in events]


def losses_of(folder: Path) -> list[float]:
    return [event["loss"] for event in events_of(folder) if event["event"] == "train"]


class Workbench:
    """A network and its training step, compiled once, for many short runs."""

    def __init__(self, train: str, valid: str = "", **changes: dict):
        self._paths, self._changes, self.valid = (train, valid), changes, valid
        self.records = load_records(train)
        config = with_vocabulary_of(training_config(train, valid, **changes), self.records)
        set_up_device(config)
        self._trainable = assemble_network(config, Ranks())
        self.network = self._trainable.network
        parameters = (*self.network.get_parameters(), *self._trainable.optimizer_state)
        self._start = [(parameter, parameter.asnumpy().copy()) for parameter in parameters]
        self._assign = ops.Assign()

    def run(self, folder: Path, resume: bool = False, monitor: type[LossMonitor] = LossMonitor,
            **changes: dict) -> TrainingResult:
        """Train in `folder` from the beginning, or from its newest checkpoint; `changes` must not be of the network.

        The loss curve is not drawn.
        """
        nodes = {**self._changes, **{node: {**self._changes.get(node, {}), **keys} for node, keys in changes.items()}}
        config = with_vocabulary_of(training_config(*self._paths, **nodes), self.records)
        ranks = Ranks()
        data = load_training_data(config, ranks)
        resumed = choose_resume_point("" if resume else None, str(folder), config, ranks)
        self._reset()
        load_start(config, self._trainable, resumed, data.records, ranks)
        writer = prepare_folder(str(folder), config, data.records, None, resumed)
        with mock.patch.object(outputs, "draw_loss_curve"):
            return run_training(config, self._trainable, data, writer, str(folder), ranks, resumed, monitor)

    def _reset(self) -> None:
        """Set weights and optimizer state to what they were at the start."""
        self._trainable.step.clear()
        for parameter, value in self._start:  # in place: a compiled graph with a branch keeps the memory it was given
            self._assign(parameter, Tensor(value))
