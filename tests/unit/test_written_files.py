"""Every file that is written has the mode that the umask gives, and a full disk is reported with the file's name."""
import os
import resource
import stat

import numpy as np
import pytest

from config.config import Config
from config.loading import save_config
from src.common.errors import MassError
from src.common.files import (
    atomic_folder,
    atomic_output,
    copy_atomically,
    list_files,
    require_file,
    require_folder,
)
from src.common.finished_outputs import FinishedOutputs
from src.inference.output import write_lines, write_predictions
from src.text.text_processing import TextProcessing
from src.utils.dictionary import Dictionary
from src.utils.load_weights import save_weights
from src.utils.monitoring.metrics_file import MetricsFile
from tests.helpers.records import LINES, RATIO, sentence_loader, write_records

ARRAYS = {"a": np.random.default_rng(0).random((100, 100))}
WORDS = Dictionary.from_counts({f"w{number:05}": number + 1 for number in range(9000)})


def write_metrics(path):
    file = MetricsFile(path)
    file.write({"event": "train", "step": 1, "seconds": 0.0, "text": "x" * 9000})
    file.close()


def write_note(path):
    FinishedOutputs(os.path.dirname(os.path.dirname(path))).task("n", [], {"x": "x" * 9000}).finish([], {})


def write_in_folder(path):
    with atomic_folder(path) as folder, open(os.path.join(folder, "x"), "w") as stream:
        stream.write("x" * 9000)


def write_whole(path):
    with atomic_output(path) as temporary, open(temporary, "w") as stream:
        os.chmod(temporary, 0o600)
        stream.write("x" * 9000)


WRITERS = {
    "a.safetensors": lambda path: save_weights(path, ARRAYS, {}),
    "a.npz": lambda path: save_weights(path, ARRAYS, {}),
    "v.bin": WORDS.persistence,
    "v.dict": WORDS.export,
    "metrics.jsonl": write_metrics,
    ".finished/n.json": write_note,
    "out.jsonl": lambda path: write_predictions(path, [{"prediction": "x" * 9000}]),
    "out.txt": lambda path: write_lines(path, [["x" * 9000]]),
    "folder": write_in_folder,
    "whole": write_whole,
    "config.json": lambda path: save_config(Config(), path),
}


@pytest.fixture
def limit_of_size():
    """A limit on the size of files, which the program meets as it meets a full disk: an error of the system."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_reported_with_the_name(tmp_path, limit_of_size, name):
    path = str(tmp_path / name)
    limit_of_size(100)
    with pytest.raises(OSError, match="File too large") as caught:
        WRITERS[name](path)
    limit_of_size(resource.RLIM_INFINITY)
    assert caught.value.filename == path or name == "out.jsonl" and caught.value.filename == str(tmp_path / "out.txt")
    left = [os.path.join(folder, file) for folder, _, files in os.walk(tmp_path) for file in files]
    assert left in ([], [path] if name == "metrics.jsonl" else []), left


@pytest.mark.parametrize("ending", ["tfrecord", "mindrecord"])
def test_a_full_disk_and_records(tmp_path, limit_of_size, ending):
    loader = sentence_loader(tmp_path, LINES * 2000)
    limit_of_size(20000)
    with pytest.raises((OSError, MassError)) as caught:
        write_records(str(tmp_path / "out" / f"x.{ending}"), loader, "pretrain", RATIO)
    limit_of_size(resource.RLIM_INFINITY)
    error = caught.value
    assert getattr(error, "filename", None) == str(tmp_path / "out") or f"x.{ending}" in str(error)
    assert "\n" not in str(error) and os.listdir(tmp_path / "out") == []


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_modes_are_those_of_new_files(tmp_path, mask):
    before = os.umask(mask)
    try:
        for name, write in WRITERS.items():
            write(str(tmp_path / name))
        TextProcessing("none").save(str(tmp_path))
        copy_atomically(str(tmp_path / "a.npz"), str(tmp_path / "copy"))
        write_records(str(tmp_path / "x.tfrecord"), sentence_loader(tmp_path), "pretrain", RATIO)
        write_records(str(tmp_path / "y.mindrecord"), sentence_loader(tmp_path), "pretrain", RATIO)
    finally:
        os.umask(before)
    for folder, folders, files in os.walk(tmp_path):
        for name in files:
            assert stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) == 0o666 & ~mask, name
        for name in folders:
            assert stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) == 0o777 & ~mask, name


@pytest.mark.parametrize("require", [require_file, require_folder])
def test_the_reason_why_a_path_cannot_be_opened_is_named(tmp_path, require):
    with pytest.raises(MassError, match="text '.*' cannot be opened: File name too long"):
        require(str(tmp_path / ("x" * 300)), "text")
    with pytest.raises(MassError, match="text '.*' does not exist"):
        require(str(tmp_path / "none"), "text")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_missing_permissions_are_not_reported_as_missing_files(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.txt").touch()
    for mode, message in ((0o300, "cannot be read: Permission denied"), (0o400, "cannot be read: Permission denied")):
        folder.chmod(mode)
        with pytest.raises(MassError, match=message):
            list_files(str(folder), "*.txt", "source folder")
    with pytest.raises(MassError, match="cannot be opened: Permission denied"):
        require_file(str(folder / "a.txt"), "text")
    folder.chmod(0o700)
