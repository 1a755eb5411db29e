"""The whole system, from records to predictions: a small model learns to reverse short sequences."""
import json

import numpy as np
import pytest

from config.loading import config_from_dict
from src.checkpoints.find import find_model
from src.dataset.bi_data_loader import BiLingualDataLoader
from src.inference.evaluation.metrics import METRICS
from src.inference.evaluation.options import EvaluationOptions
from src.inference.examples import load_test_set
from src.utils.dictionary import Dictionary
from tests.helpers.records import write_records

WORDS = [f"w{i}" for i in range(12)]
STEPS = 500


def write_pairs(folder, name, count, seed, vocabulary):
    generator = np.random.default_rng(seed)
    sources = [[WORDS[i] for i in generator.integers(0, len(WORDS), generator.integers(2, 7))] for _ in range(count)]
    source_path, target_path = folder / f"{name}.src.txt", folder / f"{name}.tgt.txt"
    source_path.write_text("".join(" ".join(words) + "\n" for words in sources))
    target_path.write_text("".join(" ".join(reversed(words)) + "\n" for words in sources))
    path = str(folder / f"{name}.tfrecord")
    loader = BiLingualDataLoader(str(source_path), str(target_path), vocabulary, max_len=8)
    write_records(path, loader, "train" if name == "train" else "test", {"noise_prob": 0.0})
    return path


@pytest.fixture(scope="module")
def reversal(tmp_path_factory):
    """Train a model; return its folder, its configuration as dictionaries and the path of its vocabulary."""
    folder = tmp_path_factory.mktemp("reversal")
    vocabulary = Dictionary.from_counts({word: 100 for word in WORDS})
    vocabulary_path = str(folder / "vocabulary.bin")
    vocabulary.persistence(vocabulary_path)
    nodes = {
        "dataset_config": {"epochs": 30, "batch_size": 64, "num_buckets": 1, "eval_batch_size": 50,
                           "fine_tune_dataset": write_pairs(folder, "train", 4000, 1, vocabulary),
                           "valid_dataset": write_pairs(folder, "valid", 100, 2, vocabulary),
                           "test_dataset": write_pairs(folder, "test", 200, 3, vocabulary)},
        "model_config": {"vocab_size": 0, "seq_length": 8, "hidden_size": 64, "num_hidden_layers": 2,
                         "num_attention_heads": 4, "intermediate_size": 128, "hidden_dropout_prob": 0.0,
                         "attention_dropout_prob": 0.0, "max_position_embeddings": 8, "max_decode_length": 8,
                         "label_smoothing": 0.05, "beam_width": 2},
        "learn_rate_config": {"lr": 4e-3, "warmup_steps": 50, "decay_steps": 450},
        "checkpoint_options": {"ckpt_path": str(folder / "run"), "save_ckpt_steps": 150, "keep_ckpt_max": 2},
        "training_config": {"max_steps": STEPS, "log_steps": 50, "valid_steps": 250},
    }
    from src.training.trainer import train

    result = train(config_from_dict(nodes), str(folder))
    nodes["checkpoint_options"] = {"existed_ckpt": result.checkpoint}
    nodes["model_config"]["compute_type"] = "float32"  # it learnt in the fastest format; comparisons are exact
    return folder, nodes, vocabulary_path


def evaluated(nodes, vocabulary_path, options):
    from src.inference.evaluation.evaluate import evaluate

    options.check()
    files = find_model(config_from_dict(nodes), vocabulary=vocabulary_path)
    return evaluate(files, load_test_set(files), options)


def test_learns_to_reverse(reversal):
    folder, nodes, vocabulary_path = reversal
    output = folder / "predictions" / "reversed.jsonl"
    metrics = evaluated(nodes, vocabulary_path, EvaluationOptions(str(output), METRICS["rouge"]()))
    entries = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(entries) == metrics["sentences"] == 200
    exact = sum(entry["prediction"].split() == entry["source"].split()[::-1] for entry in entries)
    assert exact / len(entries) > 0.95
    assert metrics["rouge"]["rouge-l"] > 95


def test_perplexity_is_near_one(reversal):
    folder, nodes, vocabulary_path = reversal
    output = folder / "scores" / "scores.jsonl"
    metrics = evaluated(nodes, vocabulary_path, EvaluationOptions(str(output), METRICS["ppl"]()))
    assert 1.0 <= metrics["ppl"]["subword"] < 1.2
    log_probs = [json.loads(line)["log_prob"] for line in output.read_text().splitlines()]
    assert len(log_probs) == 200
    assert -sum(log_probs) == pytest.approx(metrics["nll"])


def test_score_of_a_prediction_is_its_log_probability(reversal):
    """The cached search and teacher forcing give a prediction the same log-probability."""
    folder, nodes, vocabulary_path = reversal
    generated = [json.loads(line) for line in (folder / "predictions" / "reversed.jsonl").read_text().splitlines()]
    scored = [json.loads(line) for line in (folder / "scores" / "scores.jsonl").read_text().splitlines()]
    matched = [(found["log_prob"], given["log_prob"]) for found, given in zip(generated, scored, strict=True)
               if found["prediction"] == given["target"]]
    assert len(matched) > 190
    np.testing.assert_allclose(*np.array(matched).T, atol=1e-3)


def test_run_folder_holds_what_it_should(reversal):
    folder, _, _ = reversal
    names = sorted(path.name for path in (folder / "run").iterdir())
    vocabularies = [name for name in names if name.startswith("vocabulary-")]
    assert len(vocabularies) == 1
    kept = {f"ckpt-{step}{ending}" for step in (450, STEPS)
            for ending in (".safetensors", ".state.json", ".state.safetensors")}
    assert set(names) - set(vocabularies) == kept | {"best.safetensors", "config.json", "latest.safetensors",
                                                     "loss_curve.png", "metrics.jsonl", "tensorboard"}
    events = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [event["step"] for event in events if event["event"] == "train"] == list(range(50, STEPS + 1, 50))
    validated = [event["step"] for event in events if event["event"] == "valid"]
    assert {250, STEPS} < set(validated) and len(set(validated)) == len(validated)  # and at the end of each epoch
