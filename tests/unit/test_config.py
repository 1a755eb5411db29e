"""The typed configuration: what it accepts, what it refuses, and its error messages."""
import dataclasses
import json
import os

import pytest

from config import load_config, reference
from config.config import Config, LearnRateConfig
from config.loading import config_from_dict, paths_of_settings, save_config
from src.common.errors import MassError, UsageError
from tests.helpers.paths import ROOT

CONTRACT = {
    "dataset_config": "epochs batch_size pre_train_dataset fine_tune_dataset test_dataset valid_dataset "
                      "dataset_sink_mode dataset_sink_step",
    "model_config": "random_seed save_graphs seq_length vocab_size hidden_size num_hidden_layers num_attention_heads "
                    "intermediate_size hidden_act hidden_dropout_prob attention_dropout_prob max_position_embeddings "
                    "initializer_range label_smoothing beam_width length_penalty_weight max_decode_length",
    "loss_scale_config": "loss_scale_mode init_loss_scale loss_scale_factor scale_window",
    "learn_rate_config": "optimizer lr lr_scheduler poly_lr_scheduler_power decay_steps decay_start_step warmup_steps "
                         "min_lr",
    "checkpoint_options": "existed_ckpt save_ckpt_steps keep_ckpt_max ckpt_prefix ckpt_path",
}


def written(tmp_path, nodes):
    path = tmp_path / "config.json"
    path.write_text(nodes if isinstance(nodes, str) else json.dumps(nodes))
    return str(path)


def test_contract_keys_exist():
    nodes = dataclasses.asdict(Config())
    for node, keys in CONTRACT.items():
        assert set(keys.split()) <= nodes[node].keys()


def test_template_holds_every_key_and_the_reference_values():
    path = os.path.join(ROOT, "config", "config.json")
    config = load_config(path)
    with open(path) as stream:
        assert {node: set(keys) for node, keys in json.load(stream).items()} == \
            {node: set(keys) for node, keys in dataclasses.asdict(Config()).items()}
    model, rate = config.model_config, config.learn_rate_config
    assert (model.vocab_size, model.hidden_size, model.num_hidden_layers) == (45744, 1024, 6)
    assert model.num_attention_heads == 8
    assert (model.intermediate_size, model.hidden_dropout_prob, model.beam_width) == (4096, 0.2, 4)
    assert (rate.lr, rate.poly_lr_scheduler_power, rate.warmup_steps, rate.decay_steps) == (1e-4, 0.5, 4000, 10000)


@pytest.mark.parametrize("name", [name for name in os.listdir(os.path.join(ROOT, "config")) if name.endswith(".json")])
def test_every_recipe_loads(name):
    load_config(os.path.join(ROOT, "config", name))


def test_round_trip(tmp_path):
    config = load_config(written(tmp_path, {"model_config": {"hidden_size": 64}}), ["dataset_config.epochs=3"])
    assert (config.model_config.hidden_size, config.dataset_config.epochs) == (64, 3)
    save_config(config, str(tmp_path / "saved.json"))
    assert load_config(str(tmp_path / "saved.json")) == config
    assert config_from_dict(dataclasses.asdict(config)) == config


def test_a_change_of_a_saved_configuration_is_noticed(tmp_path):
    path = tmp_path / "saved.json"
    save_config(Config(), str(path))
    saved = json.loads(path.read_text())
    saved["model_config"]["hidden_size"] += 8
    path.write_text(json.dumps(saved))
    with pytest.raises(UsageError, match="saved.json: its checksum differs.*; if you have changed it, remove the entry "
                                         "'checksum'"):
        load_config(str(path))
    del saved["checksum"]
    path.write_text(json.dumps(saved))
    assert load_config(str(path)).model_config.hidden_size == saved["model_config"]["hidden_size"]


@pytest.mark.parametrize(("override", "node", "key", "value"), [
    ("learn_rate_config.lr=1", "learn_rate_config", "lr", 1.0),
    ("learn_rate_config.lr=5e-4", "learn_rate_config", "lr", 5e-4),
    ("dataset_config.dataset_sink_mode=false", "dataset_config", "dataset_sink_mode", False),
    ("dataset_config.test_dataset=a=b.tfrecord", "dataset_config", "test_dataset", "a=b.tfrecord"),
    ("checkpoint_options.ckpt_prefix=7", "checkpoint_options", "ckpt_prefix", "7"),
])
def test_overrides(tmp_path, override, node, key, value):
    found = getattr(getattr(load_config(written(tmp_path, {}), [override]), node), key)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(("nodes", "overrides", "parts"), [
    ({"model_config": {"hiden_size": 8}}, [], ["model_config.hiden_size", "did you mean model_config.hidden_size"]),
    ({"modelconfig": {}}, [], ["modelconfig", "model_config"]),
    ({"model_config": {"hidden_size": "big"}}, [], ["model_config.hidden_size", '"big"', "a whole number", "text"]),
    ({"model_config": {"hidden_size": 8.5}}, [], ["model_config.hidden_size", "8.5", "a whole number"]),
    ({"dataset_config": {"epochs": True}}, [], ["dataset_config.epochs", "true", "a whole number"]),
    ({"learn_rate_config": {"lr": None}}, [], ["learn_rate_config.lr", "null"]),
    ({"learn_rate_config": {"lr": -1}}, [], ["learn_rate_config.lr", "-1.0", "above 0"]),
    ({"learn_rate_config": {"optimizer": "sgd"}}, [], ["learn_rate_config.optimizer", "'sgd'", "'adam'", "'lamb'"]),
    ({"model_config": {"hidden_dropout_prob": 1.0}}, [], ["hidden_dropout_prob", "below 1.0"]),
    ({"model_config": {"num_attention_heads": 7}}, [], ["num_attention_heads", "7", "hidden_size", "1024"]),
    ({"model_config": {"seq_length": 100}}, [], ["seq_length", "100", "max_position_embeddings", "64"]),
    ({"learn_rate_config": {"lr": 1e-7}}, [], ["min_lr", "lr"]),
    ({"learn_rate_config": {"lr_scheduler": "isr", "warmup_steps": 0}}, [], ["warmup_steps is 0", "isr"]),
    ({"checkpoint_options": {"ckpt_prefix": "a/b"}}, [], ["ckpt_prefix", "'a/b'", "letters"]),
    ({"dataset_config": []}, [], ["dataset_config", "[]"]),
    ([1], [], ["object of nodes"]),
    ("{\n  oops", [], ["line 2", "not JSON"]),
    ('{"model_config": {"seq_length": 8, "seq_length": 9}}', [], ["seq_length", "twice"]),
    ('{"learn_rate_config": {"lr": NaN}}', [], ["learn_rate_config.lr", "finite"]),
    ({}, ["epochs=3"], ["epochs=3", "node.key=value"]),
    ({}, ["dataset_config.epoch=3"], ["dataset_config.epoch", "did you mean dataset_config.epochs"]),
    ({}, ["dataset_config.epochs=three"], ["dataset_config.epochs", "three"]),
])
def test_errors_name_file_key_and_what_is_allowed(tmp_path, nodes, overrides, parts):
    path = written(tmp_path, nodes)
    with pytest.raises(UsageError) as caught:
        load_config(path, overrides)
    for part in [path, *parts]:
        assert part in str(caught.value)


def test_missing_file():
    with pytest.raises(MassError, match="does not exist"):
        load_config("/nowhere/config.json")


def test_every_key_is_explained_and_its_default_is_allowed():
    rows = list(reference.rows())
    assert all(meaning for *_, meaning in rows)
    assert len({(node, key) for node, key, *_ in rows}) == len(rows)
    Config(learn_rate_config=LearnRateConfig())  # defaults pass their own limits


def test_reference_page_is_up_to_date():
    with open(os.path.join(ROOT, "docs", "configuration.md")) as stream:
        assert stream.read() == reference.markdown(), "run: python -m config.reference > docs/configuration.md"


def test_every_whole_number_has_an_upper_limit():
    for node in dataclasses.fields(Config):
        for entry in dataclasses.fields(node.default_factory):
            if entry.type in (int, "int"):
                assert entry.metadata["maximum"] is not None, entry.name
                with pytest.raises(UsageError, match=f"{node.name}.{entry.name} is 10+: allowed is .*at most"):
                    config_from_dict({node.name: {entry.name: 10**19}})


def test_home_folders_are_expanded_and_nul_is_refused(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    data = config_from_dict({"dataset_config": {"fine_tune_dataset": "~/a.tfrecord,~/b.tfrecord"}},
                            ["checkpoint_options.ckpt_path=~/run"])
    assert data.dataset_config.fine_tune_dataset == "/home/me/a.tfrecord,/home/me/b.tfrecord"
    assert data.checkpoint_options.ckpt_path == "/home/me/run"
    with pytest.raises(UsageError, match="checkpoint_options.ckpt_path is .*NUL"):
        config_from_dict({"checkpoint_options": {"ckpt_path": "a\0b"}})


def test_the_paths_in_settings(monkeypatch):
    monkeypatch.setenv("HOME", "/home/u")
    assert paths_of_settings(["training_config.max_steps =30", "dataset_config.valid_dataset=~/a=b,c",
                              "checkpoint_options.existed_ckpt=", " dataset_config.bpe_codes=codes"]) == [
        "/home/u/a=b", "c", "codes"]


def test_a_byte_order_mark_is_accepted(tmp_path):
    (tmp_path / "config.json").write_bytes(b'\xef\xbb\xbf{"training_config": {"max_steps": 3}}')
    assert load_config(str(tmp_path / "config.json")).training_config.max_steps == 3
