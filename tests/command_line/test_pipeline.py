"""train.py, weights_average.py and eval.py in sequence, as a user runs them, on text that the test writes."""
import json
from pathlib import Path

import pytest

from src.checkpoints.find import find_text_processing
from src.dataset.bi_data_loader import BiLingualDataLoader
from src.inference.output import SUBJECT, write_metrics
from src.utils.dictionary import Dictionary
from tests.helpers.records import write_records
from tests.helpers.scripts import run_script

MODEL = {"vocab_size": 0, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8,
         "seq_length": 16, "max_position_embeddings": 16, "max_decode_length": 8, "beam_width": 2}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """A folder with a space in its name, in which the pipeline was run, and the outputs of the scripts."""
    folder = tmp_path_factory.mktemp("a pipeline")
    vocabulary = Dictionary.from_counts({"news@@": 5, "paper": 5, "sells": 4, "well": 3})
    vocabulary.persistence(str(folder / "words.bin"))
    (folder / "src.txt").write_text("news@@ paper sells well\npaper sells\nwell\n")
    (folder / "tgt.txt").write_text("paper sells\nnews@@ paper\nwell well\n")
    loader = BiLingualDataLoader(str(folder / "src.txt"), str(folder / "tgt.txt"), vocabulary, max_len=16)
    write_records(str(folder / "pairs.tfrecord"), loader, "train", {"noise_prob": 0.0})
    (folder / "some.codes").write_text("#version: 0.2\nn e\nne w\nnew s\np a\npa p\npap e\npape r</w>\n")
    (folder / "config.json").write_text(json.dumps({
        "dataset_config": {"epochs": 2, "batch_size": 2, "num_buckets": 1, "fine_tune_dataset": "pairs.tfrecord",
                           "test_dataset": "pairs.tfrecord", "valid_dataset": "pairs.tfrecord",
                           "tokenizer": "none", "bpe_codes": "some.codes"},
        "model_config": MODEL, "checkpoint_options": {"save_ckpt_steps": 2}, "training_config": {"log_steps": 1}}))
    commands = {"train": ("train.py", "--config", "config.json"),
                "average": ("weights_average.py", "--input_folder", "train_mass_cpu",
                            "--output_file", "mean/model.npz")}
    for metric in ("rouge", "ppl"):
        commands[metric] = ("eval.py", "--config", "config.json", "--vocab", "words.bin", "--metric", metric,
                            "--output", f"scores/{metric}.jsonl",
                            "--set", "checkpoint_options.existed_ckpt=mean/model.npz")
    return folder, {name: run_script(*command, cwd=folder).stdout for name, command in commands.items()}


def test_training_reports_progress_and_writes_checkpoints(pipeline):
    folder, printed = pipeline
    assert "fine-tuning on CPU" in printed["train"] and "step 4/4: loss" in printed["train"]
    assert "validation perplexity" in printed["train"] and "done after 4 steps" in printed["train"]
    names = {path.name for path in (folder / "train_mass_cpu").iterdir()}
    assert {"ckpt-2.safetensors", "ckpt-4.safetensors", "best.safetensors", "latest.safetensors"} < names
    assert "mean of 2 checkpoints" in printed["average"]


def test_the_processing_of_text_is_stored_beside_the_weights(pipeline):
    folder, _ = pipeline
    for weights in ("train_mass_cpu/best.safetensors", "mean/model.npz"):
        text = find_text_processing(str(folder / weights))
        assert text.encode(["newspaper"]).subwords == ["news@@ paper"] and text.codes != "some.codes"


def test_predictions_are_text_and_complete(pipeline):
    folder, printed = pipeline
    entries = [json.loads(line) for line in (folder / "scores" / "rouge.jsonl").read_text().splitlines()]
    assert [entry["source"] for entry in entries] == ["newspaper sells well", "paper sells", "well"]
    assert [entry["target"] for entry in entries] == ["paper sells", "newspaper", "well well"]
    assert all(isinstance(entry["prediction"], str) and entry["score"] <= 0 for entry in entries)
    readable = (folder / "scores" / "rouge.txt").read_text()
    assert "newspaper sells well" in readable and "[3]" in readable
    assert "rouge-1:" in printed["rouge"] and "signature" in printed["rouge"]


def test_metrics_json_holds_the_scores_of_both_metrics(pipeline):
    folder, printed = pipeline
    metrics = json.loads((folder / "scores" / "metrics.json").read_text())
    assert metrics["rouge"].keys() == {"rouge-1", "rouge-2", "rouge-l"}
    assert metrics["target_tokens"] == 9 and metrics["target_words"] == 8
    assert metrics["ppl"]["word"] > metrics["ppl"]["subword"] > 1
    assert f"ppl subword: {metrics['ppl']['subword']:.2f}" in printed["ppl"]
    assert metrics["sentences"] == 3 and metrics["checkpoint_step"] == [2, 4]


def test_metrics_of_another_model_are_replaced(tmp_path):
    output = str(tmp_path / "predictions.jsonl")
    subject = dict.fromkeys(SUBJECT, "a")
    path = write_metrics(output, {"rouge": 1, **subject})
    for name in SUBJECT:  # such as the digest of weights that were trained again into the same folder
        assert write_metrics(output, {"ppl": 2, **subject}) == path
        assert json.loads(Path(path).read_text()).keys() == {"rouge", "ppl", *SUBJECT}
        write_metrics(output, {"rouge": 3, **subject, name: "b"})
        assert json.loads(Path(path).read_text()) == {"rouge": 3, **subject, name: "b"}
        write_metrics(output, {"rouge": 1, **subject})
