"""Weights files: written and read back, and refused if they do not fit."""
import os

import numpy as np
import pytest

from config.config import ModelConfig
from src.checkpoints.compatibility import VocabularyUse
from src.common.errors import MassError, UsageError
from src.utils.dictionary import Dictionary
from src.utils.load_weights import load_weights, save_weights

WORDS = {"metadata": {"vocabulary": {"file": "v.bin", "size": 9, "fingerprint": "ab" * 32}}}


def arrays(seed, **shapes):
    generator = np.random.default_rng(seed)
    return {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.mark.parametrize("ending", [".safetensors", ".npz"])
def test_round_trip(tmp_path, ending):
    path = str(tmp_path / f"weights{ending}")
    written = arrays(0, a=(3, 4), b=(5,))
    save_weights(path, written, WORDS["metadata"])
    read = load_weights(path)
    assert read.metadata == WORDS["metadata"] and read.arrays.keys() == written.keys()
    assert all(np.array_equal(read.arrays[name], written[name]) for name in written)
    assert os.listdir(tmp_path) == [f"weights{ending}"]


def test_mindspore_checkpoints_are_read(tmp_path):
    mindspore = pytest.importorskip("mindspore")
    written = arrays(0, a=(3, 4), b=(5,))
    path = str(tmp_path / "weights.ckpt")
    parameters = [{"name": name, "data": mindspore.Tensor(array)} for name, array in written.items()]
    mindspore.save_checkpoint(parameters, path)
    read = load_weights(path)
    assert all(np.array_equal(read.arrays[name], written[name]) for name in written)


@pytest.mark.parametrize("ending", [".safetensors", ".npz", ".ckpt"])
def test_damaged_files_are_refused(tmp_path, ending):
    path = tmp_path / f"weights{ending}"
    path.write_bytes(b"this is no checkpoint at all, though it has some length")
    with pytest.raises(MassError, match="damaged or not a weights file"):
        load_weights(str(path))


@pytest.mark.parametrize("cut", [0, 10, 100, 300])
@pytest.mark.parametrize("ending", [".safetensors", ".npz"])
def test_truncated_files_are_refused(tmp_path, ending, cut):
    path = tmp_path / f"weights{ending}"
    save_weights(str(path), arrays(0, a=(30, 4)), {})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(MassError, match="damaged or not a weights file"):
        load_weights(str(path))


def test_missing_and_unknown_files(tmp_path):
    with pytest.raises(MassError, match="does not exist"):
        load_weights(str(tmp_path / "none.npz"))
    (tmp_path / "weights.pt").write_bytes(b"")
    with pytest.raises(UsageError, match=r"\.safetensors"):
        load_weights(str(tmp_path / "weights.pt"))


@pytest.mark.parametrize("metadata", [[], {"vocabulary": "all_en"}, {"vocabulary": {"size": 3}}])
def test_metadata_that_is_not_ours_is_refused(tmp_path, metadata):
    path = str(tmp_path / "w.safetensors")
    save_weights(path, arrays(0, a=(2,)), metadata)
    with pytest.raises(MassError, match="metadata"):
        load_weights(path)


class TestLoadingIntoANetwork:
    """`load_into` checks vocabulary, names and shapes before it sets any weight."""

    @pytest.fixture
    def network(self):
        return pytest.importorskip("mindspore").nn.Dense(3, 2)

    @staticmethod
    def vocabulary(folder, words):
        vocabulary = Dictionary.from_counts({word: 1 for word in words})
        path = str(folder / f"vocabulary-{vocabulary.fingerprint[:12]}.dict.bin")
        vocabulary.persistence(path)
        info = {"file": os.path.basename(path), "size": len(vocabulary), "fingerprint": vocabulary.fingerprint}
        return info, VocabularyUse("the data", path, len(vocabulary), vocabulary.fingerprint)

    def test_sets_every_weight(self, tmp_path, network):
        from src.checkpoints.load import load_into, network_arrays

        info, use = self.vocabulary(tmp_path, "abc")
        weights = arrays(3, weight=(2, 3), bias=(2,))
        save_weights(str(tmp_path / "w.safetensors"), weights, {"vocabulary": info, "step": 7})
        assert load_into(network, str(tmp_path / "w.safetensors"), ModelConfig(), use).metadata["step"] == 7
        assert all(np.array_equal(network_arrays(network)[name], weights[name]) for name in weights)

    @pytest.mark.parametrize(("key", "value"), [("num_attention_heads", 4), ("hidden_act", "gelu")])
    def test_what_changes_the_network_but_no_shape(self, tmp_path, network, key, value):
        from src.checkpoints.load import load_into

        info, use = self.vocabulary(tmp_path, "abc")
        metadata = {"vocabulary": info, "config": {"model_config": {key: value}}}
        save_weights(str(tmp_path / "w.npz"), arrays(3, weight=(2, 3), bias=(2,)), metadata)
        with pytest.raises(MassError, match=f"model_config.{key} is {value!r} in checkpoint"):
            load_into(network, str(tmp_path / "w.npz"), ModelConfig(), use)

    def test_another_vocabulary_names_both_files_sizes_and_the_first_difference(self, tmp_path, network):
        from src.checkpoints.load import load_into

        (tmp_path / "run").mkdir()
        trained, trained_use = self.vocabulary(tmp_path / "run", ["apple", "pear"])
        info, use = self.vocabulary(tmp_path, ["apple", "plum", "quince"])
        checkpoint = str(tmp_path / "run" / "w.safetensors")
        save_weights(checkpoint, arrays(3, weight=(2, 3), bias=(2,)), {"vocabulary": trained})
        with pytest.raises(MassError) as caught:
            load_into(network, checkpoint, ModelConfig(), use)
        for part in (checkpoint, trained_use.path, use.path, "7", "8", "pear", "plum"):
            assert part in str(caught.value)

    @pytest.mark.parametrize(("shapes", "message"), [
        ({"weight": (2, 3)}, "checkpoint .* lacks bias"),
        ({"weight": (2, 3), "bias": (2,), "more": (1,)}, "lacks more, which checkpoint"),
        ({"weight": (4, 3), "bias": (2,)}, r"weight has shape \[4, 3\] in checkpoint.*\[2, 3\] in"),
    ])
    def test_other_names_or_shapes(self, tmp_path, network, shapes, message):
        from src.checkpoints.load import load_into, network_arrays

        info, use = self.vocabulary(tmp_path, "abc")
        before = network_arrays(network)
        save_weights(str(tmp_path / "w.npz"), arrays(3, **shapes), {"vocabulary": info})
        with pytest.raises(MassError, match=message):
            load_into(network, str(tmp_path / "w.npz"), ModelConfig(), use)
        assert all(np.array_equal(network_arrays(network)[name], before[name]) for name in before)
