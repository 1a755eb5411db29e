"""MindRecord files: MindSpore reads them, everything is read back, and damage is detected."""
import os
import shutil
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.common.errors import MassError, UsageError
from src.common.ragged import RaggedArray
from src.dataset.records.mindrecord import MindRecordWriter, read_mindrecord
from src.dataset.records.mindrecord_header import check_header
from src.dataset.records.record_set import load_records
from tests.helpers.records import NOISE, RATIO, pair_loader, sentence_loader, sequences_of, write_records


@pytest.fixture
def sentences(tmp_path):
    return sentence_loader(tmp_path)


def test_read_by_mindspore(tmp_path):
    import mindspore.dataset as ds

    pairs = pair_loader(tmp_path)
    path = str(tmp_path / "x.mindrecord")
    write_records(path, pairs, "train", NOISE)
    rows = ds.MindDataset(path, shuffle=False).create_dict_iterator(num_epochs=1, output_numpy=True)
    for row, example in zip(rows, pairs, strict=True):
        assert row["source"].tolist() == example["source"].tolist()
        assert row["target"].tolist() == example["target"].tolist()


def test_many_blocks(tmp_path):
    examples = [list(range(n, 2**31 - 1, 2**26 + 1)) for n in range(30)]
    path = str(tmp_path / "x.mindrecord")
    writer = MindRecordWriter([path], ("tokens",))
    for half in (examples[:11], examples[11:]):
        writer.write({"tokens": RaggedArray.from_sequences(half)})
    writer.close()
    blocks = list(read_mindrecord(path, ("tokens",), 7))
    assert len(blocks) == 5 and sequences_of(blocks, "tokens") == examples


def test_moves_with_its_folder(tmp_path, sentences):
    write_records(str(tmp_path / "a" / "x.mindrecord"), sentences, "pretrain", RATIO)
    shutil.move(tmp_path / "a", tmp_path / "b")
    assert len(load_records(str(tmp_path / "b"))) == 4


def test_missing_index(tmp_path, sentences):
    path = tmp_path / "x.mindrecord"
    write_records(str(path), sentences, "pretrain", RATIO)
    os.remove(f"{path}.db")
    with pytest.raises(MassError, match="x.mindrecord.db' does not exist"):
        load_records(str(path))


@pytest.mark.parametrize("name", ["x.mindrecord", "x.mindrecord.db"])
@pytest.mark.parametrize("kept", [0.0, 0.001, 0.3])
def test_truncated(tmp_path, sentences, name, kept):
    write_records(str(tmp_path / "x.mindrecord"), sentences, "pretrain", RATIO)
    os.truncate(tmp_path / name, int(kept * os.path.getsize(tmp_path / name)))
    with pytest.raises(MassError, match="x.mindrecord: its content is not"):
        load_records(str(tmp_path / "x.mindrecord"))


def test_changed_id_is_noticed(tmp_path, sentences):
    path = tmp_path / "x.mindrecord"
    write_records(str(path), sentences, "pretrain", RATIO)
    content = path.read_bytes()
    assert content.count(b"\5\7\x09\2") == 1  # the cat sat </s>; MindRecord stores small numbers as bytes
    path.write_bytes(content.replace(b"\5\7\x09\2", b"\5\7\x08\2"))
    os.utime(path, (1, 1))
    with pytest.raises(MassError, match="x.mindrecord: its content is not what its description"):
        load_records(str(path))


@pytest.mark.parametrize("name", ["../y.mindrecord", "/dev/zero", "y.mindrecord", ""])
def test_an_index_that_names_another_file(tmp_path, sentences, name):
    """MindSpore would open that file, wherever it is."""
    path = str(tmp_path / "out" / "x.mindrecord")
    write_records(path, sentences, "pretrain", RATIO)
    with closing(sqlite3.connect(f"{path}.db")) as index, index:
        index.execute("UPDATE SHARD_NAME SET NAME = ?", (name,))
    with pytest.raises(MassError, match=r"x\.mindrecord\.db: it is the index of"):
        next(read_mindrecord(path, ("tokens",), 10))


def test_renamed_files(tmp_path, sentences):
    """The name is stored in the index, so the message says what is the matter."""
    write_records(str(tmp_path / "x.mindrecord"), sentences, "pretrain", RATIO)
    shutil.rmtree(tmp_path / "x.mindrecord.index")
    for ending in ("", ".db", ".json"):
        os.rename(tmp_path / f"x.mindrecord{ending}", tmp_path / f"y.mindrecord{ending}")
    with pytest.raises(MassError, match="give both files their old names"):
        load_records(str(tmp_path / "y.mindrecord"))


@pytest.mark.parametrize(("name", "message"), [
    ("a'b", "MindSpore refuses ' in its name: rename the text file, or use --format tfrecord"),
    ("a:b?", "MindSpore refuses :? in its name"),
    (" a", "MindSpore refuses spaces at the ends in its name"),
    ("a\udcff", "MindSpore refuses paths that are not UTF-8: rename the file or the folder"),
    ("f\udcff/a", "MindSpore refuses paths that are not UTF-8"),
])
def test_names_that_mindspore_refuses(tmp_path, sentences, name, message):
    """They are refused before anything is written, and before MindSpore reads a file of another origin."""
    path = str(tmp_path / "out" / f"{name}.mindrecord")
    for use in (lambda: write_records(path, sentences, "pretrain", RATIO), lambda: next(read_mindrecord(path, (), 1))):
        with pytest.raises(UsageError) as caught:
            use()
        assert message in str(caught.value)
        assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def header(tmp_path_factory) -> tuple[str, bytes]:
    """A file with one column, and its content up to the end of the header."""
    path = str(tmp_path_factory.mktemp("header") / "x.mindrecord")
    writer = MindRecordWriter([path], ("tokens",))
    writer.write({"tokens": RaggedArray.from_sequences([[5, 2], [6, 2]])})
    writer.close()
    check_header(path, ("tokens",))
    with open(path, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        stream.seek(0)
        return path, stream.read(8 + length)


@given(place=st.integers(8, 500), bit=st.integers(0, 7))
def test_a_header_that_is_damaged_is_not_given_to_mindspore(header, place, bit):
    """MindSpore ends the process if a key or a type differs. Where a digit has become another, it raises an error."""
    path, content = header
    damaged = bytearray(content)
    damaged[place] ^= 1 << bit
    with open(path, "r+b") as stream:
        stream.write(damaged)
    try:
        check_header(path, ("tokens",))
    except ValueError:
        return
    assert chr(content[place]).isdigit() and chr(damaged[place]).isdigit() or content[place] in b" \n"


@pytest.mark.parametrize(("old", "new"), [
    (b'"x.mindrecord"', b'"../../x.rec"'), (b'"BLOB_DATA"', b'"BLOB_RAWS"'), (b'"tokens"', b'"source"'),
    (b'"page_id":0', b'"page_id":-'), (b'"shape":[-1]', b'"shape":[99]'), (b'"end_row_id":2', b'"end_row_id":[]'),
])
def test_a_forged_header(header, old, new):
    path, content = header
    with open(path, "r+b") as stream:
        stream.write(content.replace(old, new).ljust(len(content)))
    with pytest.raises(ValueError):
        check_header(path, ("tokens",))
