"""Errors of train.py and eval.py: one sentence, the right exit code, no files written."""
import json
import os

import numpy as np
import pytest

from config.loading import config_from_dict
from src.checkpoints.find import find_model
from src.common.errors import MassError, UsageError
from src.dataset.batching.factory import create_batch_source
from src.dataset.bi_data_loader import BiLingualDataLoader
from src.dataset.mono_data_loader import MonoLingualDataLoader
from src.dataset.records.record_set import load_records
from src.inference.evaluation.metrics.rouge import Rouge
from src.inference.evaluation.options import EvaluationOptions
from src.inference.examples import load_test_set
from src.utils.dictionary import Dictionary
from src.utils.load_weights import save_weights
from tests.helpers.records import write_records
from tests.helpers.scripts import run_script

TINY = {"vocab_size": 0, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8,
        "seq_length": 16, "max_position_embeddings": 16, "max_decode_length": 8}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Paths of small record files: sentences, pairs, and the same with another vocabulary."""
    folder = tmp_path_factory.mktemp("data")
    source, target = folder / "source.txt", folder / "target.txt"
    for path in (source, target):
        path.write_text("a b c d\nb c\nd a b\n")
    paths = {"folder": folder}
    for name, words in (("", "abcd"), ("other_", "abxy")):
        vocabulary = Dictionary.from_counts({word: 5 for word in words})
        paths[f"{name}vocabulary"] = str(folder / f"{name}vocabulary.bin")
        vocabulary.persistence(paths[f"{name}vocabulary"])
        paths[f"{name}pairs"] = str(folder / f"{name}pairs.tfrecord")
        loader = BiLingualDataLoader(str(source), str(target), vocabulary, max_len=16)
        write_records(paths[f"{name}pairs"], loader, "train", {"noise_prob": 0.0})
        paths[f"{name}sentences"] = str(folder / f"{name}sentences.tfrecord")
        loader = MonoLingualDataLoader(str(source), vocabulary, max_len=16)
        write_records(paths[f"{name}sentences"], loader, "pretrain", {"fragment_ratio": 0.5})
    return paths


def refused_training(tmp_path, error, dataset, **nodes):
    """Return the error message of train(), after a check that it has written nothing."""
    from src.training.trainer import train

    folder = tmp_path / "run"
    config = {"dataset_config": dataset, "model_config": TINY, **nodes}
    with pytest.raises(error) as caught:
        train(config_from_dict(config), str(folder))
    assert not list(folder.glob("*.safetensors")) and not (folder / "metrics.jsonl").exists()
    return str(caught.value)


def test_what_to_train_on_must_be_clear(tmp_path, data):
    assert "neither is set" in refused_training(tmp_path, UsageError, {})
    both = {"pre_train_dataset": data["sentences"], "fine_tune_dataset": data["pairs"]}
    assert "both are set" in refused_training(tmp_path, UsageError, both)


def test_data_sets_must_be_of_the_right_kind(tmp_path, data):
    message = refused_training(tmp_path, UsageError, {"pre_train_dataset": data["pairs"]})
    assert "pre_train_dataset" in message and "pairs" in message and "sentences" in message
    message = refused_training(tmp_path, UsageError,
                               {"fine_tune_dataset": data["pairs"], "valid_dataset": data["sentences"]})
    assert "valid_dataset" in message


def test_missing_data(tmp_path):
    message = refused_training(tmp_path, MassError, {"fine_tune_dataset": "none.tfrecord"})
    assert "dataset_config.fine_tune_dataset" in message and "none.tfrecord" in message


def test_validation_data_of_another_vocabulary(tmp_path, data):
    message = refused_training(tmp_path, MassError,
                               {"fine_tune_dataset": data["pairs"], "valid_dataset": data["other_pairs"]})
    assert data["pairs"] in message and data["other_pairs"] in message


def test_sizes_that_do_not_fit_the_data(tmp_path, data):
    dataset = {"fine_tune_dataset": data["pairs"]}
    message = refused_training(tmp_path, UsageError, dataset, model_config={**TINY, "vocab_size": 100})
    assert "vocab_size is 100" in message and "9 tokens" in message
    message = refused_training(tmp_path, UsageError, dataset, model_config={**TINY, "seq_length": 4})
    assert "seq_length is 4" in message and "5 tokens" in message


@pytest.mark.parametrize("kind", ["sentences", "pairs"])
def test_no_batch_is_longer_than_the_network(data, kind):
    """The longest example has 5 tokens; rounded up, these would be 8, for which there are no positions."""
    model = {**TINY, "vocab_size": 9, "seq_length": 5, "max_position_embeddings": 5, "max_decode_length": 5}
    source = create_batch_source(load_records(data[kind]), config_from_dict({
        "model_config": model, "dataset_config": {"pack_sentences": False}}))
    assert [shape.source_len for shape in source.plan.shapes][-1] == 5
    assert all(shape.target_len <= 5 for shape in source.plan.shapes)
    assert len(list(source.steps(0))) == source.steps_per_epoch


def test_a_folder_with_another_run_is_left_alone(tmp_path, data):
    from src.training.trainer import train

    (tmp_path / "metrics.jsonl").write_text("earlier\n")
    config = config_from_dict({"dataset_config": {"fine_tune_dataset": data["pairs"]}, "model_config": TINY})
    with pytest.raises(UsageError, match="earlier run"):
        train(config, str(tmp_path))
    assert (tmp_path / "metrics.jsonl").read_text() == "earlier\n"


def test_devices_that_are_not_available(tmp_path, data):
    message = refused_training(tmp_path, MassError, {"fine_tune_dataset": data["pairs"]},
                               training_config={"device_target": "Ascend"})
    assert "device_target is Ascend" in message


def refused_evaluation(data, error, output, vocabulary="vocabulary", **nodes):
    with pytest.raises(error) as caught:
        EvaluationOptions(str(output), Rouge()).check()
        load_test_set(find_model(config_from_dict({"model_config": TINY, **nodes}), vocabulary=data[vocabulary]))
    assert not os.path.exists(output)
    return str(caught.value)


def test_evaluation_needs_data_weights_and_one_vocabulary(tmp_path, data):
    output = tmp_path / "out" / "predictions.jsonl"
    test = {"dataset_config": {"test_dataset": data["pairs"]}}
    weights = {"checkpoint_options": {"existed_ckpt": str(tmp_path / "weights.safetensors")}}
    assert "existed_ckpt is empty" in refused_evaluation(data, UsageError, output, **test)
    assert "weights.safetensors" in refused_evaluation(data, MassError, output, **test, **weights)
    save_weights(weights["checkpoint_options"]["existed_ckpt"], {"one": np.ones(1)}, {})
    assert "test_dataset is empty" in refused_evaluation(data, UsageError, output, **weights)
    message = refused_evaluation(data, MassError, output, "other_vocabulary", **test, **weights)
    assert data["other_vocabulary"] in message and "'c'" in message and "'x'" in message


def test_evaluation_output_must_be_writable(tmp_path, data):
    test = {"dataset_config": {"test_dataset": data["pairs"]}}
    assert "must not end in .txt" in refused_evaluation(data, UsageError, tmp_path / "predictions.txt", **test)
    assert "choose another" in refused_evaluation(data, UsageError, tmp_path / "metrics.json", **test)
    (tmp_path / "mine.txt").write_text("a user's own")
    assert "mine.txt" in refused_evaluation(data, UsageError, tmp_path / "mine.jsonl", **test)
    (tmp_path / "file").write_text("")
    assert "is a file" in refused_evaluation(data, UsageError, tmp_path / "file" / "predictions.jsonl", **test)


def test_exit_codes_of_the_scripts(tmp_path, data):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"model_config": TINY}))
    run_script("train.py", code=2)
    run_script("train.py", "--config", tmp_path / "none.json", code=1)
    done = run_script("train.py", "--config", config, "--set", "dataset_config.epoch=3", code=2)
    assert "did you mean dataset_config.epochs" in done.stderr
    done = run_script("eval.py", "--config", config, "--vocab", data["vocabulary"], "--output", tmp_path / "o.jsonl",
                      "--metric", "bleu", code=2)
    assert "rouge" in done.stderr
    done = run_script("eval.py", "--config", config, "--vocab", tmp_path / "none.bin", "--output", tmp_path / "o.jsonl",
                      code=1)
    assert "none.bin" in done.stderr
    assert "learn_rate_config.warmup_steps" in run_script("train.py", "--help").stdout
