"""Lists, folders and globs of record files: what cannot be read, or has no name, is never left out in silence."""
import os

import pytest

from src.common.arguments import split_paths
from src.common.errors import MassError, UsageError
from src.dataset.records.files import find_data_sets


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir("data")
    (tmp_path / "data" / "x.tfrecord").touch()
    return tmp_path


@pytest.mark.parametrize("spec", ["data", "data/*", "data/*.tfrecord"])
@pytest.mark.parametrize(("target", "message"), [("nowhere", "is a link to 'nowhere'"), ("y.tfrecord", "is a link to")])
def test_a_broken_link_among_record_files(folder, spec, target, message):
    os.symlink(target, "data/y.tfrecord")
    with pytest.raises(MassError, match=f"valid_dataset: record file 'data/y.tfrecord' {message}"):
        find_data_sets(spec, "valid_dataset")


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_among_record_files(folder, make):
    make("data/y.tfrecord")
    with pytest.raises(MassError, match="record file 'data/y.tfrecord' is "):
        find_data_sets("data")


@pytest.mark.parametrize("spec", ["data/x.tfrecord,,data", "data/x.tfrecord,", " ,data/x.tfrecord"])
def test_an_empty_item_of_a_list(folder, spec):
    with pytest.raises(UsageError, match="test_dataset .*an item of the list is empty"):
        find_data_sets(spec, "test_dataset")


def test_lists_of_paths(tmp_path):
    (tmp_path / "n, x").mkdir()
    assert split_paths(str(tmp_path / "n, x"), "--flag") == [str(tmp_path / "n, x")]
    assert split_paths("a, b,c d", "--flag") == ["a", "b", "c d"]
    assert split_paths(" , ", "--flag") == [] == split_paths("", "--flag")
