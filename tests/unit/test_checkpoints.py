"""Checkpoints on disk: written completely or not at all, damage detected, the right one resumed."""
import dataclasses
import os

import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from config.config import CheckpointOptions, Config
from config.loading import config_from_dict
from src.checkpoints import write as module
from src.checkpoints.compatibility import require_same_run
from src.checkpoints.files import CheckpointFiles, list_checkpoints, require_no_run
from src.checkpoints.load import load_optimizer_state
from src.checkpoints.resume import ResumePoint, find_resume_point, read_training_state
from src.checkpoints.run_folder import restore_run_folder
from src.checkpoints.validation_history import ValidationHistory
from src.checkpoints.write import CheckpointWriter, link_or_copy
from src.common.errors import MassError, UsageError
from src.training.start import with_comparable_validations
from src.utils.dictionary import Dictionary
from src.utils.load_weights import load_weights
from tests.helpers.tiny_training import STATE


class Weights(nn.Cell):
    """A network of one matrix."""

    def __init__(self):
        super().__init__()
        self.matrix = Parameter(Tensor(np.zeros((3, 2), np.float32)), name="matrix")


class Run:
    """A run folder, and the network and optimizer state that are saved into it."""

    def __init__(self, folder, keep=3, prefix="ckpt"):
        vocabulary = Dictionary.from_counts({"a": 3})
        vocabulary.persistence(str(folder / "v.bin"))
        self.folder = str(folder / "run")
        options = CheckpointOptions(keep_ckpt_max=keep, ckpt_prefix=prefix)
        self.config = dataclasses.replace(Config(), checkpoint_options=options)
        self.info = {"file": "v.bin", "size": 6, "fingerprint": vocabulary.fingerprint}
        self.writer = CheckpointWriter(self.folder, self.config, self.info, str(folder / "v.bin"))
        self.network = Weights()
        self.optimizer_state = [Parameter(Tensor(np.zeros((3, 2), np.float32)), name="moment"),
                       Parameter(Tensor(np.float32(0)), name="power"),
                       Parameter(Tensor(np.zeros(1, np.int32)), name="count")]

    def save(self, step, best=False, best_step=None):
        self.set(step)
        if best:
            self.writer.save_best(self.network, step)
        history = ValidationHistory(-1.0, best_step, step) if best_step else STATE.validation
        state = dataclasses.replace(STATE, step=step, validation=history)
        return self.writer.save(self.network, self.optimizer_state, state)

    def set(self, step):
        for parameter in (self.network.matrix, *self.optimizer_state):
            parameter.set_data(Tensor(np.full(parameter.shape, step), parameter.dtype))

    def path(self, name):
        return os.path.join(self.folder, name)

    def step_in(self, name):
        return load_weights(self.path(name)).arrays["matrix"][0, 0]

    def resumed(self, where=""):
        return find_resume_point(where, self.folder, self.config.checkpoint_options.ckpt_prefix)


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def damage(path):
    """Change one byte in the middle."""
    with open(path, "r+b") as stream:
        stream.seek(os.path.getsize(path) // 2)
        byte = stream.read(1)
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte[0] ^ 1]))


def truncate(path):
    os.truncate(path, os.path.getsize(path) - 2)


def test_weights_state_and_optimizer_come_back(run):
    run.save(5)
    resumed = run.resumed()
    assert resumed.state == dataclasses.replace(STATE, step=5)
    assert resumed.files.weights == run.path("ckpt-5.safetensors")
    run.set(9)
    load_optimizer_state(resumed.files.optimizer_state, run.optimizer_state)
    for parameter in run.optimizer_state:
        assert (parameter.asnumpy() == 5).all() and parameter.asnumpy().shape == tuple(parameter.shape)
    weights = load_weights(resumed.files.weights)
    assert weights.arrays.keys() == {"matrix"} and weights.metadata["step"] == 5
    assert weights.metadata["vocabulary"] == run.info and os.path.exists(run.path("v.bin"))


def test_the_state_of_another_optimizer_is_refused(run):
    run.save(5)
    with pytest.raises(MassError, match="count has shape"):
        load_optimizer_state(run.resumed().files.optimizer_state, run.optimizer_state[:2])


def test_the_newest_are_kept_beside_best_and_latest(run):
    for step in (2, 4, 10, 20):
        run.save(step, best=step == 4)
    assert [files.step for files in list_checkpoints(run.folder, "ckpt")] == [4, 10, 20]
    assert (run.step_in("best.safetensors"), run.step_in("latest.safetensors")) == (4, 20)
    for step in (30, 40, 50):
        run.save(step)
    names = {name for name in os.listdir(run.folder) if name.startswith("ckpt-")}
    endings = (".safetensors", ".state.safetensors", ".state.json")
    assert names == {f"ckpt-{step}{ending}" for step in (30, 40, 50) for ending in endings}
    assert run.step_in("best.safetensors") == 4  # though its checkpoint is gone


def test_best_and_latest_are_hard_links(run):
    run.save(5, best=True)
    paths = [run.path(name) for name in ("best.safetensors", "latest.safetensors", "ckpt-5.safetensors")]
    assert len({os.stat(path).st_ino for path in paths}) == 1
    run.save(6)  # best is of step 5 still
    assert (run.step_in("best.safetensors"), run.step_in("latest.safetensors")) == (5, 6)


def test_file_systems_without_hard_links_get_copies(tmp_path, monkeypatch):
    def no_links(*_):
        raise OSError("not supported")

    monkeypatch.setattr(module.os, "link", no_links)
    (tmp_path / "a").write_text("content")
    link_or_copy(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (tmp_path / "b").read_text() == "content" and sorted(os.listdir(tmp_path)) == ["a", "b"]


@pytest.mark.parametrize("written", [0, 1])
def test_a_run_killed_while_it_saves_leaves_the_checkpoint_before(run, monkeypatch, written):
    """The run is killed before it writes the weights (0) or the optimizer state (1)."""
    run.save(5)
    save, calls = module.save_weights, []

    def killed(*arguments):
        calls.append(arguments)
        if len(calls) > written:
            raise KeyboardInterrupt
        save(*arguments)

    monkeypatch.setattr(module, "save_weights", killed)
    with pytest.raises(KeyboardInterrupt):
        run.save(6)
    assert run.resumed().state.step == 5 and run.step_in("latest.safetensors") == 5


@pytest.mark.parametrize("harm", [damage, truncate, os.remove])
@pytest.mark.parametrize("ending", [".safetensors", ".state.safetensors", ".state.json"])
def test_a_damaged_checkpoint_is_reported_and_the_one_before_is_used(run, capsys, ending, harm):
    for step in (5, 6):
        run.save(step)
    harm(run.path(f"ckpt-6{ending}"))
    assert run.resumed().state.step == 5
    reported = capsys.readouterr().out
    if (ending, harm) != (".state.json", os.remove):  # which looks like a checkpoint that was not completed
        assert "warning: checkpoint ckpt-6 is skipped" in reported and f"ckpt-6{ending}" in reported


def test_no_new_run_begins_if_all_checkpoints_are_damaged(run):
    for step in (5, 6):
        damage(run.save(step))
    with pytest.raises(MassError, match="no checkpoint in .* can be resumed"):
        run.resumed()


def test_a_damaged_checkpoint_that_was_named_is_an_error(run):
    for step in (5, 6):
        run.save(step)
    damage(run.path("ckpt-6.state.safetensors"))
    with pytest.raises(MassError, match="ckpt-6.state.safetensors.*damaged"):
        run.resumed(run.path("ckpt-6.safetensors"))


@pytest.mark.parametrize("name", ["ckpt-5.safetensors", "ckpt-5.state.json", "ckpt-5.state.safetensors",
                                  "best.safetensors"])
def test_a_checkpoint_can_be_named_by_any_of_its_files(run, name):
    for step in (5, 6):
        run.save(step, best=step == 5)
    assert run.resumed(run.path(name)).state.step == 5
    assert run.resumed(run.path("latest.safetensors")).state.step == 6
    assert run.resumed(run.folder).state.step == 6


def test_nothing_to_resume(run, tmp_path):
    assert run.resumed() is None
    with pytest.raises(MassError, match="does not exist"):
        run.resumed(run.path("ckpt-5.safetensors"))
    with pytest.raises(MassError, match="holds no checkpoint"):
        run.resumed(str(tmp_path))
    run.save(5, best=True)
    for ending in (".state.json", ".state.safetensors", ".safetensors"):
        os.remove(run.path(f"ckpt-5{ending}"))
    with pytest.raises(UsageError, match="weights without a training state.*existed_ckpt"):
        run.resumed(run.path("best.safetensors"))


@pytest.mark.parametrize("name", ["keep-5.safetensors", "keep-5.state.json", "keep-5.state.safetensors"])
def test_a_renamed_checkpoint_is_called_so(run, name):
    run.save(5)
    for ending in (".state.json", ".state.safetensors", ".safetensors"):
        os.rename(run.path(f"ckpt-5{ending}"), run.path(f"keep-5{ending}"))
    with pytest.raises(MassError, match="written as 'ckpt-5' and renamed: give its files their old names"):
        run.resumed(run.path(name))


@pytest.mark.parametrize("where", ["", "folder"])
def test_checkpoints_of_another_prefix_start_no_new_run(run, where):
    run.save(5)
    with pytest.raises(MassError, match="holds no checkpoint new-<step>, but checkpoints ckpt-<step>.*ckpt_prefix"):
        find_resume_point(where and run.folder, run.folder, "new")
    assert find_resume_point(where and run.folder, run.folder, "ckpt").state.step == 5
    assert find_resume_point(run.path("ckpt-5.safetensors"), run.folder, "new").state.step == 5


def test_steps_are_numbers_and_other_files_are_left_alone(tmp_path):
    run = Run(tmp_path, keep=1, prefix="my-run.1")
    others = ["my-run.1-x.safetensors", "my-runs1-3.safetensors", "other-3.safetensors", "my-run.1-3.npz"]
    for name in others:
        open(run.path(name), "w").close()
    for step in (9, 10):
        run.save(step)
    assert [files.step for files in list_checkpoints(run.folder, "my-run.1")] == [10]
    assert all(os.path.exists(run.path(name)) for name in others)


def test_checkpoints_of_later_steps_are_set_aside(run):
    for step in (5, 6, 7):
        run.save(step)
    lines = restore_run_folder(run.folder, "ckpt", run.resumed(run.path("ckpt-5.safetensors")))
    assert lines[0] == f"2 checkpoints of steps after 5 are now in {run.path('set_aside')!r}"
    assert run.resumed().state.step == 5 and run.step_in("latest.safetensors") == 5
    assert read_training_state(CheckpointFiles(os.path.join(run.folder, "set_aside", "ckpt-7"))).step == 7


@pytest.mark.parametrize("kept", [True, False])
def test_best_is_that_of_the_step_the_run_goes_back_to(run, kept):
    """And not of validations that the resumed run has not seen."""
    run.save(5, best=True, best_step=5)
    run.save(6, best_step=5)
    run.save(7, best=True, best_step=7)
    if not kept:
        CheckpointFiles(run.path("ckpt-5")).remove()
    lines = restore_run_folder(run.folder, "ckpt", run.resumed(run.path("ckpt-6.safetensors")))
    assert run.step_in("set_aside/best.safetensors") == 7
    assert any("best.safetensors is not of the validations up to step 6" in line for line in lines)
    if kept:
        assert run.step_in("best.safetensors") == 5
    else:
        assert not os.path.exists(run.path("best.safetensors")) and "of step 5, were not kept" in lines[-1]
    assert restore_run_folder(run.folder, "ckpt", run.resumed()) == lines[-1:] * (not kept)


@pytest.mark.parametrize("prefix", ["ckpt", "other"])
def test_a_run_that_moves_to_another_folder_can_be_resumed_there(run, tmp_path, prefix):
    """Before it has written a checkpoint of its own. A checkpoint cannot be copied under another prefix."""
    run.save(5, best=True, best_step=5)
    run.save(6, best_step=5)
    open(run.path("metrics.jsonl"), "w").close()
    new = tmp_path / "new"
    new.mkdir()
    assert restore_run_folder(str(new), prefix, run.resumed()) == []
    assert load_weights(str(new / "best.safetensors")).metadata["step"] == 5
    assert load_weights(str(new / "latest.safetensors")).metadata["step"] == 6
    assert (new / "metrics.jsonl").exists()
    found = find_resume_point("", str(new), prefix)
    assert found is None if prefix == "other" else (found.state == run.resumed().state and found.is_in(str(new)))


def test_a_later_checkpoint_that_a_killed_run_left_does_not_displace_a_new_one(tmp_path):
    run = Run(tmp_path, keep=1)
    open(run.path("ckpt-200.safetensors"), "w").close()  # without a training state
    for step in (100, 120):
        run.save(step)
        assert run.resumed().state.step == step
    assert [files.step for files in list_checkpoints(run.folder, "ckpt")] == [120, 200]


def test_a_folder_with_a_run_is_refused_and_the_error_mentions_resuming(run):
    require_no_run(run.folder)
    open(run.path("metrics.jsonl"), "w").close()
    with pytest.raises(UsageError, match="earlier run.*--resume"):
        require_no_run(run.folder)
    with pytest.raises(UsageError, match="is a file"):
        require_no_run(run.path("metrics.jsonl"))


@pytest.mark.parametrize(("best_metric", "changes", "data", "comparable"), [
    ("perplexity", {}, {}, True), ("perplexity", {}, {"valid_tokens": 7}, False),
    ("perplexity", {"model_config": {"beam_width": 2}, "training_config": {"valid_rouge_sentences": 9}}, {}, True),
    ("rouge-2", {"model_config": {"beam_width": 2}}, {}, False),
    ("rouge-2", {"training_config": {"valid_rouge_sentences": 9}}, {}, False),
    ("rouge-2", {"training_config": {"patience": 9}}, {}, True)])
def test_validations_are_compared_only_with_those_of_the_same_data_and_search(best_metric, changes, data, comparable):
    nodes = {"training_config": {"best_metric": best_metric, "valid_rouge_sentences": 5}}
    before, now = (config_from_dict({node: {**nodes.get(node, {}), **more.get(node, {})}
                                     for node in ("model_config", "training_config")}) for more in ({}, changes))
    history = ValidationHistory(-1.0, 5, 6, 1)
    state = dataclasses.replace(STATE, config=before, validation=history)
    resumed = with_comparable_validations(ResumePoint(CheckpointFiles("run/ckpt-6"), state), now,
                                          dataclasses.replace(STATE.data, **data))
    assert resumed.state.validation == (history if comparable else ValidationHistory(last_step=6))
    assert resumed.state == dataclasses.replace(state, validation=resumed.state.validation)


# -- the same run ----------------------------------------------------------------------------------------------------


def changed(node, **keys):
    return dataclasses.replace(STATE.config, **{node: dataclasses.replace(getattr(STATE.config, node), **keys)})


CHECKPOINT = "run/ckpt-17.safetensors"


@pytest.mark.parametrize(("node", "keys"), [
    ("model_config", {"hidden_size": 512, "num_attention_heads": 4}), ("model_config", {"random_seed": 1}),
    ("model_config", {"hidden_dropout_prob": 0.5}), ("model_config", {"compute_type": "float16"}),
    ("dataset_config", {"batch_size": 7}), ("dataset_config", {"fragment_ratio": 0.3}),
    ("learn_rate_config", {"optimizer": "lamb"}), ("learn_rate_config", {"lr": 1.0, "clip_norm": 0.0}),
    ("loss_scale_config", {"loss_scale_mode": "static"}),
])
def test_another_model_batch_or_optimizer_is_refused_by_name(node, keys):
    with pytest.raises(UsageError) as caught:
        require_same_run(CHECKPOINT, STATE, changed(node, **keys), STATE.data)
    for name, value in keys.items():
        assert f"{node}.{name} was {getattr(getattr(STATE.config, node), name)!r} and is {value!r}" in str(caught.value)


@pytest.mark.parametrize(("node", "keys"), [
    ("dataset_config", {"epochs": 3, "fine_tune_dataset": "moved", "valid_dataset": "v", "eval_batch_size": 1}),
    ("model_config", {"beam_width": 2, "save_graphs": True}),
    ("checkpoint_options", {"existed_ckpt": "x", "save_ckpt_steps": 3, "keep_ckpt_max": 1, "ckpt_path": "y"}),
    ("training_config", {"max_steps": 9, "log_steps": 2, "valid_steps": 5, "device_target": "GPU", "device_id": 3,
                         "patience": 4, "native_kernels": "off"}),
])
def test_other_keys_may_change(node, keys):
    require_same_run(CHECKPOINT, STATE, changed(node, **keys), STATE.data)


@pytest.mark.parametrize(("name", "value", "words"), [
    ("kind", "sentences", "kind"), ("examples", 23, "training examples was 22 and is 23"), ("tokens", 171, "tokens"),
    ("batches_per_step", 4, "accumulate_batches times devices"), ("steps_per_epoch", 8, "steps per epoch")])
def test_other_data_are_refused(name, value, words):
    with pytest.raises(UsageError, match=words):
        require_same_run(CHECKPOINT, STATE, STATE.config, dataclasses.replace(STATE.data, **{name: value}))


def test_other_validation_data_are_allowed():
    require_same_run(CHECKPOINT, STATE, STATE.config, dataclasses.replace(STATE.data, valid_examples=0, valid_tokens=0))
