"""Writing data sets: the files, shards and what remains after a failure, in both formats."""
import os

import numpy as np
import pytest

from src.common.errors import MassError, UsageError
from src.dataset.mono_data_loader import MonoLingualDataLoader
from src.dataset.options import RecordOptions
from src.dataset.records.files import MAX_SHARDS, RECORD_FORMATS
from src.dataset.records.info import RecordInfo
from src.dataset.records.mindrecord import read_mindrecord
from src.dataset.records.record_set import load_records
from src.dataset.records.tfrecord import read_tfrecord
from src.utils.dictionary import Dictionary
from tests.helpers.records import (
    LINES,
    RATIO,
    SENTENCES,
    VOCABULARY,
    sentence_loader,
    sequences_of,
    write_records,
    write_shards,
)


class FailingLoader(MonoLingualDataLoader):
    """A loader that yields the parts of its text and then fails."""

    def parts(self):
        yield from super().parts()
        raise MassError("line 5 is bad")


@pytest.fixture
def sentences(tmp_path):
    return sentence_loader(tmp_path)


@pytest.fixture
def failing(sentences):
    return FailingLoader(sentences.filepaths, sentences.vocabulary)


@pytest.mark.parametrize("record_format", RECORD_FORMATS)
class TestOneFile:
    def test_round_trip(self, tmp_path, sentences, record_format):
        path = str(tmp_path / "out" / f"x.{record_format}")
        written = write_records(path, sentences, "pretrain", RATIO)
        records = load_records(path)
        assert records.info == written == RecordInfo.load(path)
        assert [VOCABULARY.decode(row) for row in records.columns["tokens"]] == [
            line.replace("unheard-of", "<unk>").split() for line in SENTENCES
        ]
        assert [row[-1] for row in records.columns["tokens"]] == [2] * 4
        assert records.columns["tokens"][0].dtype == np.int32
        assert Dictionary.load_from_persisted_dict(records.vocabulary_path).tokens == VOCABULARY.tokens
        assert len(records) == 4 and records.paths == (path,)

    def test_nothing_under_a_final_name_after_a_failure(self, tmp_path, failing, record_format):
        with pytest.raises(MassError, match="line 5 is bad"):
            write_records(str(tmp_path / "out" / f"x.{record_format}"), failing, "pretrain", RATIO)
        assert os.listdir(tmp_path / "out") == []

    def test_failure_keeps_the_earlier_file(self, tmp_path, failing, sentences, record_format):
        path = str(tmp_path / f"x.{record_format}")
        write_records(path, sentences, "pretrain", RATIO)
        with pytest.raises(MassError):
            write_records(path, failing, "pretrain", RATIO)
        assert len(load_records(path)) == 4

    def test_overwriting(self, tmp_path, sentences, record_format):
        path = str(tmp_path / f"x.{record_format}")
        write_records(path, sentences, "pretrain", RATIO)
        write_records(path, sentence_loader(tmp_path, max_len=3), "pretrain", RATIO)
        records = load_records(path)
        assert len(records) == 2 and records.info.dropped == {"too long": 2}

    def test_nothing_kept(self, tmp_path, record_format):
        loader = sentence_loader(tmp_path, ["", ""])
        with pytest.raises(MassError, match="of 2 lines read none was kept .dropped: empty 2;"):
            write_records(str(tmp_path / "out" / f"x.{record_format}"), loader, "pretrain", RATIO)
        assert os.listdir(tmp_path / "out") == []


@pytest.mark.parametrize("record_format", RECORD_FORMATS)
class TestShards:
    def test_each_example_in_exactly_one_shard(self, tmp_path, record_format):
        path = write_shards(tmp_path, record_format, 4)
        reader = {"tfrecord": read_tfrecord, "mindrecord": read_mindrecord}[record_format]
        for shard in range(4):
            file = path.replace("x.", f"x-{shard:05}-of-00004.")
            rows = [" ".join(VOCABULARY.decode(row)) for row in sequences_of(reader(file, ("tokens",), 99), "tokens")]
            assert rows == LINES[shard::4]

    def test_other_numbers_of_shards_are_replaced(self, tmp_path, record_format):
        for shards in (3, 1, 2):
            path = write_shards(tmp_path, record_format, shards)
            assert len(load_records(str(tmp_path / "out"))) == len(load_records(path)) == 23
            files = [name for name in os.listdir(tmp_path / "out") if name.endswith(f".{record_format}")]
            assert len(files) == shards

    def test_more_shards_than_examples(self, tmp_path, record_format):
        with pytest.raises(MassError, match="23 examples do not fill 24 shards"):
            write_shards(tmp_path, record_format, 24)
        assert os.listdir(tmp_path / "out") == []


@pytest.mark.parametrize("shards", [0, -1, 100_000])
def test_impossible_numbers_of_shards(tmp_path, sentences, shards):
    with pytest.raises(UsageError, match=f"--shards {shards}"):
        write_records(str(tmp_path / "x.tfrecord"), sentences, "pretrain", RATIO, shards)


def test_a_name_that_looks_like_a_shard(tmp_path, sentences):
    with pytest.raises(UsageError, match="would be taken for one of several shards"):
        write_records(str(tmp_path / "news-00001-of-00100.tfrecord"), sentences, "pretrain", RATIO)


def test_number_of_files():
    size = 1 << 22
    assert [RecordOptions(format="mindrecord").shards_for(total) for total in (0, size - 1, size, size * 10**6)] == [
        1, 1, 2, MAX_SHARDS]
    assert RecordOptions().shards_for(size * 10**6) == 1
    assert RecordOptions(shards=3, format="mindrecord").shards_for(0) == RecordOptions(shards=3).shards_for(size) == 3
