"""The index beside records: equal to the records, made anew when they change, safe with several processes and kills."""
import multiprocessing
import os
import shutil

import numpy as np
import pytest

from src.common.errors import MassError
from src.dataset.mono_data_loader import MonoLingualDataLoader
from src.dataset.records import index as record_index
from src.dataset.records import reader as record_reader
from src.dataset.records.files import index_path, info_path
from src.dataset.records.index import values_type
from src.dataset.records.record_set import load_records
from src.utils.dictionary import Dictionary
from tests.helpers.records import write_records

RATIO = {"fragment_ratio": 0.5}
VOCABULARY = Dictionary.from_counts({"a": 9, "b": 8, "c": 7})


def write(folder, name, lines, shards=1):
    """A data set of these lines; returns its path."""
    text = folder / f"{name}.txt"
    text.write_text("\n".join(lines) + "\n")
    path = str(folder / "out" / f"{name}.tfrecord")
    write_records(path, MonoLingualDataLoader(str(text), VOCABULARY), "pretrain", RATIO, shards)
    return path


def rows(records):
    return [" ".join(VOCABULARY.decode(row)) for row in records.columns["tokens"]]


@pytest.fixture
def path(tmp_path):
    return write(tmp_path, "x", ["a b", "c", "b b b"])


@pytest.fixture
def never_read(monkeypatch):
    """Reading records fails: what is opened comes from an index."""
    def read_blocks(path, info):
        raise AssertionError(f"{path} is read")

    monkeypatch.setattr(record_reader, "read_blocks", read_blocks)


class TestIndex:
    def test_made_with_the_records(self, path, never_read):
        assert rows(load_records(path)) == ["a b", "c", "b b b"]

    def test_kept_after_the_first_opening(self, path, request):
        shutil.rmtree(index_path(path))
        first = load_records(path)
        request.getfixturevalue("never_read")
        second = load_records(path)
        assert (first.columns["tokens"].values == second.columns["tokens"].values).all()
        assert (first.columns["tokens"].lengths == second.columns["tokens"].lengths).all()

    @pytest.mark.parametrize("shards", [1, 2])
    def test_equal_whether_made_with_the_records_or_from_them(self, tmp_path, shards):
        path = write(tmp_path, "x", ["a b", "c", "b b b", "a", "c c"], shards)
        folder = index_path(path)
        os.rename(folder, tmp_path / "first")
        load_records(path)
        assert sorted(os.listdir(folder)) == sorted(os.listdir(tmp_path / "first"))
        for name in os.listdir(folder):
            with open(os.path.join(folder, name), "rb") as one, open(tmp_path / "first" / name, "rb") as other:
                assert one.read() == other.read()

    def test_of_records_that_changed(self, tmp_path, path):
        os.rename(index_path(path), tmp_path / "old")
        write(tmp_path, "x", ["c c c", "a"])
        shutil.rmtree(index_path(path))
        os.rename(tmp_path / "old", index_path(path))
        assert rows(load_records(path)) == ["c c c", "a"]

    def test_of_a_copy_with_new_times(self, tmp_path, path, never_read):
        """The times of the files are part of what guards the index; who copies without them has it made anew."""
        shutil.copytree(os.path.dirname(path), tmp_path / "kept")
        assert len(load_records(str(tmp_path / "kept"))) == 3
        os.utime(tmp_path / "kept" / "x.tfrecord", (5, 5))
        with pytest.raises(AssertionError, match="is read"):
            load_records(str(tmp_path / "kept"))

    @pytest.mark.parametrize("name", ["header.json", "tokens.values.npy", "tokens.offsets.npy", "tokens.lengths.npy"])
    @pytest.mark.parametrize("damage", ["removed", "emptied", "truncated"])
    def test_damaged(self, path, name, damage):
        file = os.path.join(index_path(path), name)
        if damage == "removed":
            os.remove(file)
        else:
            os.truncate(file, 0 if damage == "emptied" else os.path.getsize(file) - 1)
        assert rows(load_records(path)) == ["a b", "c", "b b b"]
        assert record_index.open_index(path, load_records(path).info)

    def test_not_made_from_damaged_records(self, path):
        shutil.rmtree(index_path(path))
        with open(path, "r+b") as stream:
            stream.seek(20)
            stream.write(b"?")
        with pytest.raises(MassError, match="record 1 is damaged"):
            load_records(path)
        assert not os.path.exists(index_path(path))

    def test_a_folder_that_cannot_be_written_to(self, tmp_path, path, monkeypatch, capsys):
        other = write(tmp_path, "y", ["c"])
        shutil.rmtree(index_path(path))
        shutil.rmtree(index_path(other))
        monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
        assert rows(load_records(os.path.dirname(path))) == ["a b", "c", "b b b", "c"]
        assert capsys.readouterr().err.count("is not writable") == 1
        assert not os.path.exists(index_path(path))

    def test_a_full_disk(self, path, monkeypatch, capsys):
        def fail(*_):
            raise OSError(28, "No space left on device")

        shutil.rmtree(index_path(path))
        monkeypatch.setattr(record_index.IndexWriter, "append", fail)
        assert rows(load_records(path)) == ["a b", "c", "b b b"]
        assert "No space left on device" in capsys.readouterr().err
        left = [name for name in os.listdir(os.path.dirname(path)) if "index" in name or "partial" in name]
        assert left == []

    def test_large_arrays_are_mapped_and_outlive_their_files(self, tmp_path, monkeypatch):
        monkeypatch.setattr(record_index, "MAPPED_BYTES", 0)
        path = write(tmp_path, "x", ["a b", "c"])
        records = load_records(path)
        values = records.columns["tokens"].values
        assert isinstance(values.base, np.memmap)
        shutil.rmtree(os.path.dirname(path))
        assert rows(records) == ["a b", "c"]

    def test_several_data_sets(self, tmp_path, path):
        write(tmp_path, "y", ["c c", "a"])
        columns = load_records(os.path.dirname(path)).columns["tokens"]
        assert [row.tolist() for row in columns] == [[5, 6, 2], [7, 2], [6, 6, 6, 2], [7, 7, 2], [5, 2]]
        assert columns.lengths.tolist() == [3, 2, 4, 3, 2]

    def test_types(self):
        assert [values_type(size) for size in (5, 65536, 65537)] == [np.uint16, np.uint16, np.int32]


def open_at_once(path, barrier, results):
    barrier.wait()
    results.put(rows(load_records(path)))


def test_several_processes_at_once(tmp_path):
    lines = [" ".join("abc"[(number + place) % 3] for place in range(1 + number % 5)) for number in range(2000)]
    path = write(tmp_path, "x", lines)
    context = multiprocessing.get_context("fork")
    for state in ("none", "stale", "none"):
        if state == "none":
            shutil.rmtree(index_path(path))
        else:
            os.utime(path, (5, 5))
        barrier, results = context.Barrier(4), context.Queue()
        processes = [context.Process(target=open_at_once, args=(path, barrier, results)) for _ in range(4)]
        for process in processes:
            process.start()
        assert all(results.get(timeout=100) == lines for _ in processes)
        for process in processes:
            process.join()
        assert record_index.open_index(path, load_records(path).info)


def write_until_killed(folder, step):
    """Write a data set over another one, and be gone without a farewell at the given step towards final names."""
    left = [step]

    def counting(function):
        def counted(*arguments, **options):
            if left[0] == 0:
                os._exit(9)
            left[0] -= 1
            return function(*arguments, **options)
        return counted

    for name in ("replace", "remove", "rmdir", "unlink", "rename"):
        setattr(os, name, counting(getattr(os, name)))
    write(folder, "x", ["c c c", "a"], shards=2)
    os._exit(0)


@pytest.mark.parametrize("earlier_shards", [1, 3])
def test_a_kill_at_any_step_leaves_all_or_nothing(tmp_path, earlier_shards):
    context = multiprocessing.get_context("fork")
    old, new = ["a b", "c", "b b b"], ["c c c", "a"]
    outcomes = []
    for step in range(200):
        path = write(tmp_path, "x", old, earlier_shards)
        process = context.Process(target=write_until_killed, args=(tmp_path, step))
        process.start()
        process.join()
        if os.path.exists(info_path(path)):
            outcomes.append(rows(load_records(str(tmp_path / "out"))))
            assert outcomes[-1] in (old, new)
        else:
            outcomes.append(None)
            with pytest.raises(MassError):
                load_records(path)
        if process.exitcode == 0:
            break
    else:
        raise AssertionError("it never came to an end")
    assert outcomes[0] == old and outcomes[-1] == new and None in outcomes
    assert sorted(name for name in os.listdir(tmp_path / "out") if ".tfrecord" in name) == [
        "x-00000-of-00002.tfrecord", "x-00001-of-00002.tfrecord", "x.tfrecord.index", "x.tfrecord.json"]
