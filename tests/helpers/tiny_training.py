"""What the tests of training share: tiny records, and a configuration that trains on them in milliseconds a step."""
import json
from pathlib import Path

import numpy as np
from mindspore import Tensor

from config.config import Config
from config.loading import config_from_dict
from src.checkpoints.load import load_into
from src.checkpoints.resume import find_resumed, load_optimizer
from src.checkpoints.write import Checkpoints
from src.dataset.batching.assembly import with_vocabulary_size
from src.dataset.bi_data_loader import BiLingualDataLoader
from src.dataset.records.record_set import load_records, write_records
from src.runtime.device import set_up_device
from src.runtime.distributed import Ranks
from src.training.data import identify, training_source, validation_source
from src.training.loop import TrainingData, TrainingLoop, TrainingResult, planned_steps
from src.training.optimizer import make_optimizer, optimizer_state
from src.training.train_step import TrainStep
from src.transformer.operators.mindspore_operators import MindSporeOperators
from src.transformer.transformer_for_train import TransformerForTrain
from src.utils.dictionary import Dictionary
from src.utils.loss_monitor import LossMonitor

WORDS = "abcdefgh"
MODEL = {"vocab_size": 0, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8,
         "seq_length": 8, "max_position_embeddings": 8, "max_decode_length": 8, "hidden_dropout_prob": 0.0,
         "attention_dropout_prob": 0.0, "beam_width": 2}


def write_pairs(folder: Path, name: str, count: int, words: str = WORDS, seed: int = 0) -> str:
    """Records of `count` pairs of random words; returns their path."""
    generator = np.random.default_rng(seed)
    texts = []
    for side in ("source", "target"):
        lines = (" ".join(generator.choice(list(words), generator.integers(1, 7))) for _ in range(count))
        texts.append(folder / f"{name}.{side}.txt")
        texts[-1].write_text("\n".join(lines) + "\n")
    path = str(folder / f"{name}.tfrecord")
    loader = BiLingualDataLoader(*map(str, texts), Dictionary.from_counts(dict.fromkeys(words, 9)), max_len=8)
    write_records(path, loader, "train", {"noise_prob": 0.0}, progress=False)
    return path


def training_config(train: str, valid: str = "", **changes: dict) -> Config:
    """A configuration; `changes` name nodes and what is different in them."""
    return config_from_dict(training_nodes(train, valid, **changes))


def training_nodes(train: str, valid: str = "", **changes: dict) -> dict:
    """The same as plain dictionaries, as a configuration file holds them."""
    nodes = {
        "dataset_config": {"epochs": 1000, "batch_size": 4, "pack_sentences": False, "num_buckets": 1,
                           "fine_tune_dataset": train, "valid_dataset": valid},
        "model_config": MODEL,
        "loss_scale_config": {"loss_scale_mode": "static", "init_loss_scale": 1.0},
        "learn_rate_config": {"lr": 0.01, "warmup_steps": 4, "decay_steps": 1000},
        "checkpoint_options": {"save_ckpt_steps": 4, "keep_ckpt_max": 3},
        "training_config": {"max_steps": 12, "log_steps": 1, "valid_steps": 4, "native_kernels": "off"},
    }
    for node, keys in changes.items():
        nodes[node] = {**nodes[node], **keys}
    return nodes


def events_of(folder: Path) -> list[dict]:
    """The entries of metrics.jsonl, without what is about time."""
    events = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in event.items() if key not in ("seconds", "tokens_per_second")}
            for event in events]


def losses_of(folder: Path) -> list[float]:
    return [event["loss"] for event in events_of(folder) if event["event"] == "train"]


class Workbench:
    """A network and its training step, compiled once, for many short runs; what train() puts together, without it."""

    def __init__(self, train: str, valid: str = "", **changes: dict):
        self._paths, self._changes = (train, valid), changes
        self.records = load_records(train)
        self._valid = load_records(valid) if valid else None
        config = with_vocabulary_size(training_config(train, valid, **changes), self.records)
        set_up_device(config)
        operators = MindSporeOperators(config.model_config.compute_type)
        self.network = TransformerForTrain(config.model_config, operators)
        optimizer = make_optimizer(config.learn_rate_config, self.network.trainable_params())
        self.memory = optimizer_state(optimizer, self.network)
        self._step = TrainStep(self.network, optimizer, config.learn_rate_config.clip_norm, Ranks(), operators)
        self._start = [(entry, entry.asnumpy().copy()) for entry in (*self.network.get_parameters(), *self.memory)]

    def run(self, folder: Path, resume: bool = False, monitor: type[LossMonitor] = LossMonitor,
            **changes: dict) -> TrainingResult:
        """Train in `folder` from the beginning, or from its newest checkpoint; `changes` leave the network as it is."""
        nodes = {**self._changes, **{node: {**self._changes.get(node, {}), **keys} for node, keys in changes.items()}}
        config = with_vocabulary_size(training_config(*self._paths, **nodes), self.records)
        ranks, vocabulary = Ranks(), self.records.info.vocabulary
        source = training_source(self.records, config, ranks)
        valid_source = validation_source(self._valid, config, ranks, source.plan.shapes)
        data = TrainingData(source, valid_source, None, identify("pairs", source, valid_source), vocabulary,
                            self.records.vocabulary_path)
        checkpoints = Checkpoints(str(folder), config, vocabulary, self.records.vocabulary_path)
        state, path = None, ""
        self.reset()
        if resume:
            resumed = find_resumed("", str(folder), config.checkpoint_options.ckpt_prefix)
            state, path = resumed.state, resumed.files.weights
            load_into(self.network, path, config.model_config, vocabulary, self.records.vocabulary_path)
            load_optimizer(resumed.files, self.memory)
        told = monitor(str(folder), config.training_config.log_steps, planned_steps(config, source.steps_per_epoch),
                       resumed_step=state.step if state else 0, unreported=state.unreported if state else None)
        try:
            return TrainingLoop(config, self._step, data, checkpoints, told, ranks, state, path).run()
        finally:
            told.close()

    def reset(self) -> None:
        """Weights and optimizer as they were at the start."""
        self._step.clear()
        for parameter, value in self._start:
            parameter.set_data(Tensor(value))
