"""Names that are read from files: nothing but plain names of files in the same folder is followed."""
import json
import os
from pathlib import Path

import numpy as np
import pytest

from src.checkpoints.find import find_model
from src.checkpoints.write import CheckpointWriter
from src.common.errors import MassError
from src.common.named_files import file_named, is_plain_name
from src.dataset.records.record_set import load_records
from src.runtime.distributed import Ranks
from src.text.text_processing import TextProcessing
from src.training.data import load_training_data
from src.utils.dictionary import Dictionary
from src.utils.load_weights import save_weights, stored_vocabulary_path
from tests.helpers.records import RATIO, VOCABULARY, sentence_loader, write_records
from tests.helpers.tiny_training import training_config

HOSTILE = ["../x.bin", "..", ".", "", "/etc/x.bin", "a/x.bin", "a\\x.bin", "x\0.bin", "x\n.bin", ".x.bin", "c:x.bin",
           "x.py", "x.bin.py", "~/x.bin", "\ud800.bin", "x" * 300 + ".bin", None, 3, ["x.bin"], {"x.bin": 1}, True]


@pytest.fixture
def records(tmp_path):
    folder = tmp_path / "records"
    path = str(folder / "x.tfrecord")
    write_records(path, sentence_loader(tmp_path), "pretrain", RATIO)
    return path


def change_description(path, **change):
    description = Path(path + ".json")
    content = json.loads(description.read_text())
    content["vocabulary"] |= change
    content.pop("checksum", None)
    description.write_text(json.dumps(content))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(tmp_path, records, name):
    """In records, weights, text.json, and what is written into a run folder."""
    assert not is_plain_name(name, ".bin")
    change_description(records, file=name)
    with pytest.raises(MassError, match=r"x\.tfrecord\.json"):
        load_records(records).load_vocabulary()
    with pytest.raises(MassError, match=r"m\.npz"):
        stored_vocabulary_path(str(tmp_path / "m.npz"), {"vocabulary": {"file": name, "size": 5, "fingerprint": ""}})
    with pytest.raises(MassError, match="plain file name"):
        CheckpointWriter(str(tmp_path / "run"), training_config(records), {"file": name}, str(tmp_path / "text.txt"))
    assert os.listdir(tmp_path / "run") == []
    TextProcessing("none").save(str(tmp_path))
    content = json.loads((tmp_path / "text.json").read_text())
    (tmp_path / "text.json").write_text(json.dumps({**content, "codes": {"file": name, "sha256": ""}}))
    with pytest.raises(MassError, match=r"text\.json"):
        TextProcessing.load(str(tmp_path))


@pytest.mark.parametrize("kind", ["link out", "folder", "fifo", "device"])
def test_what_is_not_a_file_of_the_folder(tmp_path, kind):
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "outside.bin").write_text("")
    path, described_in = folder / "x.bin", str(folder / "d.json")
    assert file_named("x.bin", described_in, "it", ".bin") == str(path)  # it need not exist
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(tmp_path / "outside.bin" if kind == "link out" else "/dev/zero")
    with pytest.raises(MassError, match="d.json.*'x.bin'"):
        file_named("x.bin", described_in, "it", ".bin")


def test_links_within_the_folder(tmp_path):
    (tmp_path / "y.bin").write_text("")
    (tmp_path / "x.bin").symlink_to("y.bin")
    assert file_named("x.bin", str(tmp_path / "d.json"), "it", ".bin") == str(tmp_path / "x.bin")


@pytest.mark.parametrize("content", ["another", "empty", "missing"])
def test_a_vocabulary_that_is_not_that_of_the_records(tmp_path, records, content):
    """Training refuses it at the start; otherwise only eval.py would, hours later."""
    path = load_records(records).vocabulary_path
    os.remove(path)
    if content == "another":
        Dictionary.from_counts({"the": 9, "a": 8, "cat": 7, "dog": 6, "mat": 5}).persistence(path)
        assert len(Dictionary.load_from_persisted_dict(path)) == len(VOCABULARY)
    elif content == "empty":
        open(path, "w").close()

    config = training_config("", dataset_config={"fine_tune_dataset": "", "pre_train_dataset": records})
    with pytest.raises(MassError, match=os.path.basename(path)):
        load_training_data(config, Ranks())


def test_a_checkpoint_does_not_choose_what_evaluation_writes(tmp_path):
    vocabulary = Dictionary.from_counts({"a": 3})
    vocabulary.persistence(str(tmp_path / "v.bin"))
    save_weights(str(tmp_path / "best.safetensors"), {"a": np.zeros(1)}, {
        "step": 1, "config": {"model_config": {"vocab_size": 0, "save_graphs": True}},
        "vocabulary": {"file": "v.bin", "size": len(vocabulary), "fingerprint": vocabulary.fingerprint}})
    assert not find_model(checkpoint=str(tmp_path)).config.model_config.save_graphs
