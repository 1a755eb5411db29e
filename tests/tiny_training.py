"""What the tests of training share: tiny records, and a configuration that trains on them in milliseconds a step."""
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from config.config import Config
from config.loading import config_from_dict
from src.dataset.bi_data_loader import BiLingualDataLoader
from src.dataset.records import write_records
from src.utils.dictionary import Dictionary

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
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
        "dataset_config": {"epochs": 1000, "batch_size": 4, "num_buckets": 1, "fine_tune_dataset": train,
                           "valid_dataset": valid},
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
    """The entries of metrics.jsonl, without what is about time."""
    events = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in event.items() if key not in ("seconds", "tokens_per_second")}
            for event in events]


def losses_of(folder: Path) -> list[float]:
    return [event["loss"] for event in events_of(folder) if event["event"] == "train"]


def start_script(folder: Path, script: str, *arguments: object) -> subprocess.Popen:
    """Run a script of the repository in `folder`, as a user would."""
    return subprocess.Popen([sys.executable, os.path.join(ROOT, script), *map(str, arguments)], cwd=folder, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
