"""Names of files and folders with every character that a system allows, and with bytes that are not UTF-8."""
import json
import os
from pathlib import Path

import pytest

from config.config import Config
from config.loading import config_from_dict, load_config, save_config
from src.common.json_files import parse_json
from src.common.json_output import json_text
from src.inference.evaluation.pages import write_page
from src.utils.load_weights import read_metadata, save_weights
from tests.helpers.launching import arguments_seen, make_place
from tests.helpers.scripts import run_script

BAD = b"\xff".decode(errors="surrogateescape")
NAMES = ["a'b", 'q"q', "new\nline", "-dash", "a b&c;d", "per%cent?#*[x]", "é中", f"c{BAD}d"]


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / f"a {BAD}"
    (folder / "raw").mkdir(parents=True)
    for name in NAMES:
        (folder / "raw" / f"{name}.txt").write_text("low lower lowest low\n" * 9)
    return folder


@pytest.mark.parametrize("environment", [{}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
                         ids=["UTF-8", "C"])
def test_text_becomes_records(folder, environment):
    def run(*command, **options):
        return run_script(*command, cwd=folder, environment=environment, errors="surrogateescape", **options)

    vocabulary, codes, tokens = f"v{BAD}.bin", f"codes{BAD}", f"tokens{BAD}"
    run("tokenize_corpus.py", "--corpus_folder", "raw", "--output_folder", tokens)
    run("scripts/learn_subword.sh", tokens, "--symbols", 9, "--output", codes)
    run("apply_bpe_encoding.py", "--codes", codes, "--src_folder", tokens, "--output_folder", "bpe",
        "--vocab_path", vocabulary, "--threshold", 0)
    crawl = "news_crawl.py", "--src_folder", "bpe", "--existed_vocab", vocabulary, "--output_folder"
    run(*crawl, "records")
    assert {path.name for path in (folder / "records").glob("*.tfrecord")} == {
        f"{name}_tokenized_bpe.tfrecord" for name in NAMES}
    done = run(*crawl, "mindrecords", "--format", "mindrecord", code=2)
    assert "cannot be a MindRecord file, as MindSpore refuses" in done.stderr
    assert not list(folder.glob("mindrecords/*"))


def test_launchers(tmp_path):
    place = make_place(tmp_path)
    run_script("scripts/run_cpu.sh", "-t", "t", "-c", "my config.json", "--run_folder", f"run{BAD}", "--", f"data{BAD}",
               root=place[0], cwd=place[1], errors="surrogateescape")
    log = (place[1] / f"run{BAD}" / "log.txt").read_text(errors="surrogateescape")
    assert f"data{BAD}" in log.splitlines()[0]
    assert arguments_seen(log)[-3] == f"data{BAD}"


def test_what_programs_write_can_be_read_again(tmp_path):
    """A path of the configuration is part of checkpoints and of metrics.json."""
    config = config_from_dict({"dataset_config": {"test_dataset": f"a{BAD}"}})
    save_config(config, str(tmp_path / "config.json"))
    assert load_config(str(tmp_path / "config.json")) == config != Config()
    weights = str(tmp_path / f"{BAD}.safetensors")
    save_weights(weights, {}, {"config": {"x": BAD}})
    assert read_metadata(weights)["config"] == {"x": BAD}
    text = json_text({"model": weights, "é": BAD})
    assert "é" in text and text.encode()
    assert parse_json(text, paths=True) == {"model": weights, "é": BAD}
    for ending in ("html", "md"):
        path = tmp_path / f"{BAD}.{ending}"
        write_page(str(path), f"title {BAD}", [])
        assert r"title \udcff" in path.read_text()


@pytest.mark.parametrize("text", ['"\\ud800"', '"\\udcff"'])
def test_other_texts_hold_no_lone_surrogates(text):
    with pytest.raises(ValueError, match="surrogates"):
        parse_json(text)
    assert json.loads(text) and (text == '"\\ud800"' or parse_json(text, paths=True) == os.fsdecode(b"\xff"))


def test_the_prefix_of_checkpoints_leaves_room_for_their_endings(tmp_path):
    """It would fail at the first checkpoint otherwise."""
    (tmp_path / "config.json").write_text(json.dumps({"checkpoint_options": {"ckpt_prefix": "x" * 101}}))
    done = run_script("train.py", "--config", "config.json", cwd=tmp_path, code=2)
    assert "allowed are letters, digits and . _ -, at most 100 of them" in done.stderr
