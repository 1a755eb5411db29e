"""The description of a data set: its content, its versions, and records that do not fit it."""
import json
import os
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.common.errors import MassError
from src.common.json_files import checksum_of
from src.dataset.records.files import info_path
from src.dataset.records.record_set import load_records
from src.dataset.records.statistics import percentile_lengths
from src.utils.dictionary import Dictionary
from tests.helpers.records import NOISE, RATIO, pair_loader, sentence_loader, write_records


@pytest.fixture
def sentences(tmp_path):
    return sentence_loader(tmp_path)


@pytest.fixture
def pairs(tmp_path):
    return pair_loader(tmp_path)


def test_content(tmp_path, pairs):
    path = str(tmp_path / "x.tfrecord")
    write_records(path, pairs, "train", NOISE)
    with open(info_path(path), encoding="utf-8") as stream:
        content = json.load(stream)
    fingerprint = pairs.vocabulary.fingerprint
    checksum = content.pop("checksum")
    assert checksum == checksum_of(content)
    assert content.pop("checksums").keys() == {".tfrecord"}
    assert content == {
        "kind": "pairs", "split": "train", "lines_read": 4, "kept": 4, "dropped": {}, "flawed": {}, "damaged": {},
        "max_len": 64, "min_len": 1, "shards": 1,
        "percentiles": {side: {"1": 2, "5": 2, "25": 2, "50": 3, "75": 4, "95": 5, "99": 5}
                        for side in ("source", "target")},
        "tokens": {"source": 14, "target": 14}, "unknown": {"source": 1, "target": 1},
        "longest": {"source": 5, "target": 5}, "masking": {"noise_prob": 0.1},
        "vocabulary": {"file": f"vocabulary-{fingerprint[:12]}.dict.bin", "size": 10, "fingerprint": fingerprint},
        "format_version": 2,
    }


@given(st.lists(st.integers(0, 9), min_size=1, max_size=50))
def test_percentiles(lengths):
    found = percentile_lengths(np.bincount(lengths))
    for percent, length in found.items():
        assert np.percentile(lengths, int(percent), method="inverted_cdf") == length


def test_derived_numbers(tmp_path, pairs):
    info = write_records(str(tmp_path / "x.tfrecord"), pairs, "train", NOISE)
    assert info.mean_length("source") == 3.5 and info.unknown_share("source") == 0.1


@pytest.mark.parametrize("content, complaint", [
    ("{", "not a description"), ("[]", "format version None"), ('{"format_version": 3}', "format version 3"),
    ('{"format_version": 1}', "wrong: checksums"),
])
def test_damaged(tmp_path, sentences, content, complaint):
    path = str(tmp_path / "x.tfrecord")
    write_records(path, sentences, "pretrain", RATIO)
    with open(info_path(path), "w") as stream:
        stream.write(content)
    with pytest.raises(MassError, match=complaint):
        load_records(path)


def test_of_the_first_format_version(tmp_path, sentences):
    path = str(tmp_path / "x.tfrecord")
    write_records(path, sentences, "pretrain", RATIO)
    with open(info_path(path), encoding="utf-8") as stream:
        content = json.load(stream) | {"format_version": 1}
    for name in ("shards", "min_len", "damaged", "percentiles", "checksum"):
        del content[name]
    with open(info_path(path), "w", encoding="utf-8") as stream:
        json.dump(content, stream)
    assert len(load_records(path)) == 4


def test_missing(tmp_path, sentences):
    path = str(tmp_path / "x.tfrecord")
    write_records(path, sentences, "pretrain", RATIO)
    os.remove(info_path(path))
    with pytest.raises(MassError, match="has no description"):
        load_records(path)


def test_renamed_together(tmp_path, sentences):
    write_records(str(tmp_path / "x.tfrecord"), sentences, "pretrain", RATIO)
    for ending in ("tfrecord", "tfrecord.json"):
        os.rename(tmp_path / f"x.{ending}", tmp_path / f"y.{ending}")
    assert len(load_records(str(tmp_path / "y.tfrecord"))) == 4


def test_of_another_file(tmp_path, sentences):
    first, second = str(tmp_path / "1.tfrecord"), str(tmp_path / "2.tfrecord")
    write_records(first, sentences, "pretrain", RATIO)
    write_records(second, sentence_loader(tmp_path, max_len=3), "pretrain", RATIO)
    shutil.copy(first, second)
    with pytest.raises(MassError, match="holds 4 records, but according to its description .* there are 2"):
        load_records(second)


def test_of_another_file_of_equal_size(tmp_path, sentences):
    path, other = str(tmp_path / "1.tfrecord"), str(tmp_path / "2.tfrecord")
    write_records(path, sentences, "pretrain", RATIO)
    sentences.vocabulary = Dictionary.from_counts({"the": 1})
    write_records(other, sentences, "pretrain", RATIO)
    shutil.copy(other, path)
    os.utime(path, (1, 1))
    with pytest.raises(MassError, match="1.tfrecord: its content is not what its description"):
        load_records(path)
