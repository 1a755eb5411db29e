"""The training loop: what is reported, saved and repeated."""
import json

import numpy as np
import pytest

from config.loading import config_from_dict
from src.dataset.mono_data_loader import MonoLingualDataLoader
from src.dataset.records import write_records
from src.utils.dictionary import Dictionary
from src.utils.load_weights import load_weights

STEPS = 8


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    generator = np.random.default_rng(0)
    vocabulary = Dictionary.from_counts({word: 9 for word in "abcdefgh"})
    lines = (" ".join(generator.choice(list("abcdefgh"), generator.integers(3, 12))) for _ in range(20))
    (folder / "text.txt").write_text("\n".join(lines) + "\n")
    path = str(folder / "text.tfrecord")
    loader = MonoLingualDataLoader(str(folder / "text.txt"), vocabulary, max_len=12)
    write_records(path, loader, "pretrain", {"fragment_ratio": 0.5}, progress=False)
    return path


@pytest.fixture(scope="module")
def trained(records, tmp_path_factory):
    """Trains with some nodes changed; returns the final weights and the events of metrics.jsonl."""
    from src.training.trainer import train

    def run(**changes):
        folder = tmp_path_factory.mktemp("run")
        nodes = {
            "dataset_config": {"epochs": 10, "batch_size": 8, "num_buckets": 1, "pre_train_dataset": records},
            "model_config": {"vocab_size": 0, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
                             "intermediate_size": 8, "hidden_dropout_prob": 0.0, "attention_dropout_prob": 0.0},
            "loss_scale_config": {"loss_scale_mode": "static", "init_loss_scale": 1.0},
            "learn_rate_config": {"lr": 0.01, "warmup_steps": 2},
            "training_config": {"max_steps": STEPS, "log_steps": 1},
        }
        for node, keys in changes.items():
            nodes[node] = {**nodes[node], **keys}
        result = train(config_from_dict(nodes), str(folder))
        events = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        return load_weights(result.checkpoint), events

    return run


@pytest.fixture(scope="module")
def plain(trained):
    return trained()


def losses(events):
    return [event["loss"] for event in events if event["event"] == "train"]


def same(one, other):
    return all(np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays)


def test_a_run_is_a_function_of_its_configuration(plain, trained):
    weights, events = trained()
    assert losses(events) == losses(plain[1]) and same(weights, plain[0])
    weights, events = trained(model_config={"random_seed": 7})
    assert losses(events) != losses(plain[1]) and not same(weights, plain[0])


def test_sink_mode_reads_back_later_and_changes_nothing_else(plain, trained):
    weights, events = trained(dataset_config={"dataset_sink_mode": True, "dataset_sink_step": 3})
    assert losses(events) == losses(plain[1]) and same(weights, plain[0])


def test_every_step_is_reported_with_its_rate(plain):
    weights, events = plain
    assert [event["step"] for event in events] == list(range(1, STEPS + 1))
    assert events[0]["lr"] == pytest.approx(0.005) and events[1]["lr"] == pytest.approx(0.01)
    assert all(event["tokens_per_second"] > 0 for event in events)
    assert weights.metadata["step"] == STEPS
    assert weights.metadata["config"]["model_config"]["vocab_size"] == 13  # 0 was replaced by the records' own


def test_overflowing_steps_are_skipped_and_the_scale_falls_until_they_pass(plain, trained):
    scale = {"loss_scale_mode": "dynamic", "init_loss_scale": 2.0**100, "loss_scale_factor": 2.0**20}
    _, events = trained(loss_scale_config=scale)
    skipped = [event for event in events if event["event"] == "skip"]
    assert 0 < len(skipped) < STEPS
    assert [event["new_loss_scale"] for event in skipped] == [2.0 ** (100 - 20 * i) for i in range(1, len(skipped) + 1)]
    assert losses(events)[0] == pytest.approx(losses(plain[1])[0])  # the scale does not show in what is reported
    assert len(losses(events)) == STEPS
