"""TFRecord files: other readers and writers agree, everything is read back, and damage is detected and located."""
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tfrecord import TFRecordWriter, tfrecord_loader

from src.common.errors import MassError
from src.common.ragged import RaggedArray
from src.dataset.records import tfrecord
from src.dataset.records.record_set import load_records
from src.dataset.records.varints import decode_varints, encode_varints
from tests.helpers.records import NOISE, RATIO, pair_loader, sentence_loader, sequences_of, write_records

ids = st.one_of(st.integers(0, 300), st.integers(0, 2**31 - 1))
id_lists = st.lists(ids, min_size=1, max_size=200)


def write_tfrecord(path, **columns):
    writer = tfrecord.TFRecordWriter([str(path)])
    arrays = {name: RaggedArray.from_sequences(sequences) for name, sequences in columns.items()}
    writer.write(tfrecord.encode_frames(arrays))
    writer.close()


def crc32c_by_bits(data):
    """Return the CRC-32C (Castagnoli), computed by its definition."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    return crc ^ 0xFFFFFFFF


@pytest.fixture
def sentences(tmp_path):
    return sentence_loader(tmp_path)


@pytest.fixture
def pairs(tmp_path):
    return pair_loader(tmp_path)


@given(st.lists(ids))
def test_varints(values):
    encoded, sizes = encode_varints(np.array(values, dtype=np.int64))
    assert sizes.tolist() == [max(1, -(-value.bit_length() // 7)) for value in values]
    assert decode_varints(encoded).tolist() == values


def test_negative_ids_are_refused():
    with pytest.raises(ValueError, match="-1"):
        encode_varints(np.array([3, -1]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(id_lists, min_size=1, max_size=20))
def test_same_bytes_as_another_writer(tmp_path, examples):
    # One column only: the other writer puts several in no fixed order.
    ours, other = tmp_path / "ours.tfrecord", tmp_path / "other.tfrecord"
    write_tfrecord(ours, tokens=examples)
    writer = TFRecordWriter(str(other))
    for example in examples:
        writer.write({"tokens": (example, "int")})
    writer.close()
    assert ours.read_bytes() == other.read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(id_lists, id_lists), min_size=1, max_size=20))
def test_round_trip(tmp_path, examples):
    path = str(tmp_path / "x.tfrecord")
    write_tfrecord(path, source=[source for source, _ in examples], target=[target for _, target in examples])
    blocks = list(tfrecord.read_tfrecord(path, ("source", "target"), 6))
    assert sequences_of(blocks, "source") == [source for source, _ in examples]
    assert sequences_of(blocks, "target") == [target for _, target in examples]


def test_checksums_by_their_definition(tmp_path):
    path = tmp_path / "x.tfrecord"
    write_tfrecord(path, tokens=[[5, 2], [300, 7, 2]])
    content, count = path.read_bytes(), 0
    while content:
        size = int.from_bytes(content[:8], "little")
        for start, end in ((0, 8), (12, 12 + size)):
            crc = crc32c_by_bits(content[start:end])
            masked = ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) % 2**32
            assert int.from_bytes(content[end : end + 4], "little") == masked
        content, count = content[16 + size :], count + 1
    assert count == 2


def test_many_blocks(tmp_path):
    examples = [list(range(n % 5, 200 + n)) for n in range(50)]
    path = str(tmp_path / "x.tfrecord")
    write_tfrecord(path, tokens=examples)
    blocks = list(tfrecord.read_tfrecord(path, ("tokens",), 7))
    assert len(blocks) == 8 and sequences_of(blocks, "tokens") == examples


def test_empty_sequences(tmp_path):
    path, examples = str(tmp_path / "x.tfrecord"), [[], [1, 300], [], []]
    write_tfrecord(path, tokens=examples)
    assert sequences_of(tfrecord.read_tfrecord(path, ("tokens",), 9), "tokens") == examples


@pytest.mark.parametrize("columns", [("target",), ("tokens", "zeros"), ("token",)])
def test_other_columns(tmp_path, columns):
    path = str(tmp_path / "x.tfrecord")
    write_tfrecord(path, tokens=[[7, 2]])
    with pytest.raises(MassError, match="x.tfrecord: record 1 does not hold"):
        list(tfrecord.read_tfrecord(path, columns, 9))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_cut_or_changed_byte_is_an_error(tmp_path, sentences, data):
    path = str(tmp_path / "x.tfrecord")
    write_records(path, sentences, "pretrain", RATIO)
    with open(path, "rb") as stream:
        content = bytearray(stream.read())
    position = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[position:]
    else:
        content[position] ^= data.draw(st.integers(1, 255))
    with open(path, "wb") as stream:
        stream.write(content)
    os.utime(path, (1, 1))  # as if some time had passed: the index counts as long as size and time are the same
    with pytest.raises(MassError, match="x.tfrecord"):
        load_records(path)


def test_damage_is_located(tmp_path, sentences):
    path = tmp_path / "x.tfrecord"
    write_records(str(path), sentences, "pretrain", RATIO)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(MassError, match="record 4 is truncated"):
        load_records(str(path))
    path.write_bytes(content[:20] + b"?" + content[21:])
    os.utime(path, (1, 1))
    with pytest.raises(MassError, match="record 1 is damaged"):
        load_records(str(path))
    path.write_bytes(content + b"more")
    with pytest.raises(MassError, match="record 5 is truncated"):
        load_records(str(path))


def test_read_by_mindspore(tmp_path, pairs):
    import mindspore.dataset as ds

    path = str(tmp_path / "x.tfrecord")
    write_records(path, pairs, "train", NOISE)
    rows = ds.TFRecordDataset(path, shuffle=False).create_dict_iterator(num_epochs=1, output_numpy=True)
    for row, example in zip(rows, pairs, strict=True):
        assert row["source"].tolist() == example["source"].tolist()
        assert row["target"].tolist() == example["target"].tolist()


def test_read_by_package_tfrecord(tmp_path, pairs):
    path = str(tmp_path / "x.tfrecord")
    write_records(path, pairs, "train", NOISE)
    for row, example in zip(tfrecord_loader(path, None, {"source": "int", "target": "int"}), pairs, strict=True):
        assert row["source"].tolist() == example["source"].tolist()
        assert row["target"].tolist() == example["target"].tolist()
