"""Records: what is written is read back in both formats, other readers agree, and damage is noticed."""
import json
import os
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tfrecord import TFRecordWriter, tfrecord_loader

from src.common.errors import MassError, UsageError
from src.common.ragged import RaggedArray
from src.dataset.bi_data_loader import BiLingualDataLoader
from src.dataset.mono_data_loader import MonoLingualDataLoader
from src.dataset.options import RecordOptions
from src.dataset.records import tfrecord
from src.dataset.records.files import MAX_SHARDS, RECORD_FORMATS, info_path
from src.dataset.records.info import RecordInfo, percentile_lengths
from src.dataset.records.mindrecord import MindRecordWriter, read_mindrecord
from src.dataset.records.record_set import load_records, write_records
from src.utils.dictionary import Dictionary

SENTENCES = ["the cat sat", "a dog", "the unheard-of dog sat", "cat"]
RATIO, NOISE = {"fragment_ratio": 0.5}, {"noise_prob": 0.1}

ids = st.one_of(st.integers(0, 300), st.integers(0, 2**31 - 1))
id_lists = st.lists(ids, min_size=1, max_size=200)


def write_tfrecord(path, **columns):
    writer = tfrecord.TFRecordWriter([str(path)])
    arrays = {name: RaggedArray.from_sequences(sequences) for name, sequences in columns.items()}
    writer.write(tfrecord.encode_frames(arrays))
    writer.close()


def crc32c_by_bits(data):
    """CRC-32C (Castagnoli) from its definition, to check ours against."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    return crc ^ 0xFFFFFFFF


def read_all(blocks, column):
    return [sequence.tolist() for block in blocks for sequence in block[column]]


@pytest.fixture
def vocabulary():
    return Dictionary.from_counts({"the": 9, "a": 8, "cat": 7, "dog": 6, "sat": 5})


@pytest.fixture
def sentences(tmp_path, vocabulary):
    (tmp_path / "text.txt").write_text("\n".join(SENTENCES) + "\n")
    return MonoLingualDataLoader(str(tmp_path / "text.txt"), vocabulary)


@pytest.fixture
def pairs(tmp_path, vocabulary):
    (tmp_path / "source.txt").write_text("\n".join(SENTENCES))
    (tmp_path / "target.txt").write_text("\n".join(reversed(SENTENCES)))
    return BiLingualDataLoader(str(tmp_path / "source.txt"), str(tmp_path / "target.txt"), vocabulary)


class FailingLoader(MonoLingualDataLoader):
    """Yields the parts of its text, then fails."""

    def parts(self):
        yield from super().parts()
        raise MassError("line 5 is bad")


@pytest.fixture
def failing(sentences):
    return FailingLoader(sentences.filepaths, sentences.vocabulary)


def with_max_len(loader, max_len):
    loader.settings = loader.settings._replace(max_len=max_len)
    return loader


class TestTFRecordFiles:
    @given(st.lists(ids))
    def test_varints(self, values):
        encoded, sizes = tfrecord.encode_varints(np.array(values, dtype=np.int64))
        assert sizes.tolist() == [max(1, -(-value.bit_length() // 7)) for value in values]
        assert tfrecord.decode_varints(encoded).tolist() == values

    def test_negative_ids_are_refused(self):
        with pytest.raises(ValueError, match="-1"):
            tfrecord.encode_varints(np.array([3, -1]))

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(st.lists(id_lists, min_size=1, max_size=20))
    def test_same_bytes_as_another_writer(self, tmp_path, examples):
        # One column only: the other writer puts several in no fixed order.
        ours, other = tmp_path / "ours.tfrecord", tmp_path / "other.tfrecord"
        write_tfrecord(ours, tokens=examples)
        writer = TFRecordWriter(str(other))
        for example in examples:
            writer.write({"tokens": (example, "int")})
        writer.close()
        assert ours.read_bytes() == other.read_bytes()

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(st.lists(st.tuples(id_lists, id_lists), min_size=1, max_size=20))
    def test_round_trip(self, tmp_path, examples):
        path = str(tmp_path / "x.tfrecord")
        write_tfrecord(path, source=[source for source, _ in examples], target=[target for _, target in examples])
        blocks = list(tfrecord.read_tfrecord(path, ("source", "target"), 6))
        assert read_all(blocks, "source") == [source for source, _ in examples]
        assert read_all(blocks, "target") == [target for _, target in examples]

    def test_checksums_by_their_definition(self, tmp_path):
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

    def test_many_blocks(self, tmp_path):
        examples = [list(range(n % 5, 200 + n)) for n in range(50)]
        path = str(tmp_path / "x.tfrecord")
        write_tfrecord(path, tokens=examples)
        blocks = list(tfrecord.read_tfrecord(path, ("tokens",), 7))
        assert len(blocks) == 8 and read_all(blocks, "tokens") == examples

    def test_empty_sequences(self, tmp_path):
        path, examples = str(tmp_path / "x.tfrecord"), [[], [1, 300], [], []]
        write_tfrecord(path, tokens=examples)
        assert read_all(tfrecord.read_tfrecord(path, ("tokens",), 9), "tokens") == examples

    @pytest.mark.parametrize("columns", [("target",), ("tokens", "zeros"), ("token",)])
    def test_other_columns(self, tmp_path, columns):
        path = str(tmp_path / "x.tfrecord")
        write_tfrecord(path, tokens=[[7, 2]])
        with pytest.raises(MassError, match="x.tfrecord: record 1 does not hold"):
            list(tfrecord.read_tfrecord(path, columns, 9))

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(data=st.data())
    def test_any_cut_or_changed_byte_is_an_error(self, tmp_path, sentences, data):
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

    def test_damage_is_located(self, tmp_path, sentences):
        path = tmp_path / "x.tfrecord"
        write_records(str(path), sentences, "pretrain", RATIO)
        content = path.read_bytes()
        path.write_bytes(content[:-1])
        with pytest.raises(MassError, match="record 4 is cut short"):
            load_records(str(path))
        path.write_bytes(content[:20] + b"?" + content[21:])
        os.utime(path, (1, 1))
        with pytest.raises(MassError, match="record 1 is damaged"):
            load_records(str(path))
        path.write_bytes(content + b"more")
        with pytest.raises(MassError, match="record 5 is cut short"):
            load_records(str(path))

    def test_read_by_mindspore(self, tmp_path, pairs):
        import mindspore.dataset as ds

        path = str(tmp_path / "x.tfrecord")
        write_records(path, pairs, "train", NOISE)
        rows = ds.TFRecordDataset(path, shuffle=False).create_dict_iterator(num_epochs=1, output_numpy=True)
        for row, example in zip(rows, pairs, strict=True):
            assert row["source"].tolist() == example["source"].tolist()
            assert row["target"].tolist() == example["target"].tolist()

    def test_read_by_package_tfrecord(self, tmp_path, pairs):
        path = str(tmp_path / "x.tfrecord")
        write_records(path, pairs, "train", NOISE)
        for row, example in zip(tfrecord_loader(path, None, {"source": "int", "target": "int"}), pairs, strict=True):
            assert row["source"].tolist() == example["source"].tolist()
            assert row["target"].tolist() == example["target"].tolist()


class TestMindRecordFiles:
    def test_read_by_mindspore(self, tmp_path, pairs):
        import mindspore.dataset as ds

        path = str(tmp_path / "x.mindrecord")
        write_records(path, pairs, "train", NOISE)
        rows = ds.MindDataset(path, shuffle=False).create_dict_iterator(num_epochs=1, output_numpy=True)
        for row, example in zip(rows, pairs, strict=True):
            assert row["source"].tolist() == example["source"].tolist()
            assert row["target"].tolist() == example["target"].tolist()

    def test_many_blocks(self, tmp_path):
        examples = [list(range(n, 2**31 - 1, 2**26 + 1)) for n in range(30)]
        path = str(tmp_path / "x.mindrecord")
        writer = MindRecordWriter([path], ("tokens",))
        for half in (examples[:11], examples[11:]):
            writer.write({"tokens": RaggedArray.from_sequences(half)})
        writer.close()
        blocks = list(read_mindrecord(path, ("tokens",), 7))
        assert len(blocks) == 5 and read_all(blocks, "tokens") == examples

    def test_moves_with_its_folder(self, tmp_path, sentences):
        write_records(str(tmp_path / "a" / "x.mindrecord"), sentences, "pretrain", RATIO)
        shutil.move(tmp_path / "a", tmp_path / "b")
        assert len(load_records(str(tmp_path / "b"))) == 4

    def test_missing_index(self, tmp_path, sentences):
        path = tmp_path / "x.mindrecord"
        write_records(str(path), sentences, "pretrain", RATIO)
        os.remove(f"{path}.db")
        with pytest.raises(MassError, match="x.mindrecord.db' does not exist"):
            load_records(str(path))

    @pytest.mark.parametrize("name", ["x.mindrecord", "x.mindrecord.db"])
    @pytest.mark.parametrize("kept", [0.0, 0.001, 0.3])
    def test_truncated(self, tmp_path, sentences, name, kept):
        write_records(str(tmp_path / "x.mindrecord"), sentences, "pretrain", RATIO)
        os.truncate(tmp_path / name, int(kept * os.path.getsize(tmp_path / name)))
        with pytest.raises(MassError, match="x.mindrecord: its content is not"):
            load_records(str(tmp_path / "x.mindrecord"))

    def test_changed_id_is_noticed(self, tmp_path, sentences):
        path = tmp_path / "x.mindrecord"
        write_records(str(path), sentences, "pretrain", RATIO)
        content = path.read_bytes()
        assert content.count(b"\5\7\x09\2") == 1  # the cat sat </s>; MindRecord stores small numbers as bytes
        path.write_bytes(content.replace(b"\5\7\x09\2", b"\5\7\x08\2"))
        os.utime(path, (1, 1))
        with pytest.raises(MassError, match="x.mindrecord: its content is not what its description"):
            load_records(str(path))


@pytest.mark.parametrize("record_format", RECORD_FORMATS)
class TestBothFormats:
    def test_round_trip(self, tmp_path, vocabulary, sentences, record_format):
        path = str(tmp_path / "out" / f"x.{record_format}")
        written = write_records(path, sentences, "pretrain", RATIO)
        records = load_records(path)
        assert records.info == written == RecordInfo.load(path)
        assert [vocabulary.decode(row) for row in records.columns["tokens"]] == [
            line.replace("unheard-of", "<unk>").split() for line in SENTENCES
        ]
        assert [row[-1] for row in records.columns["tokens"]] == [2] * 4
        assert records.columns["tokens"][0].dtype == np.int32
        assert Dictionary.load_from_persisted_dict(records.vocabulary_path).tokens == vocabulary.tokens
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

    def test_overwriting(self, tmp_path, vocabulary, sentences, record_format):
        path = str(tmp_path / f"x.{record_format}")
        write_records(path, sentences, "pretrain", RATIO)
        write_records(path, with_max_len(sentences, 3), "pretrain", RATIO)
        records = load_records(path)
        assert len(records) == 2 and records.info.dropped == {"too long": 2}

    def test_nothing_kept(self, tmp_path, vocabulary, record_format):
        (tmp_path / "text.txt").write_text("\n\n")
        loader = MonoLingualDataLoader(str(tmp_path / "text.txt"), vocabulary)
        with pytest.raises(MassError, match="of 2 lines read none was kept .dropped: empty 2;"):
            write_records(str(tmp_path / "out" / f"x.{record_format}"), loader, "pretrain", RATIO)
        assert os.listdir(tmp_path / "out") == []


class TestDescription:
    def test_content(self, tmp_path, pairs):
        path = str(tmp_path / "x.tfrecord")
        write_records(path, pairs, "train", NOISE)
        with open(info_path(path), encoding="utf-8") as stream:
            content = json.load(stream)
        fingerprint = pairs.vocabulary.fingerprint
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
    def test_percentiles(self, lengths):
        found = percentile_lengths(np.bincount(lengths))
        for percent, length in found.items():
            assert np.percentile(lengths, int(percent), method="inverted_cdf") == length

    def test_derived_numbers(self, tmp_path, pairs):
        info = write_records(str(tmp_path / "x.tfrecord"), pairs, "train", NOISE)
        assert info.mean_length("source") == 3.5 and info.unknown_share("source") == 0.1

    @pytest.mark.parametrize("content, complaint", [
        ("{", "not a description"), ("[]", "format version None"), ('{"format_version": 3}', "format version 3"),
        ('{"format_version": 1}', "wrong: checksums"),
    ])
    def test_damaged(self, tmp_path, sentences, content, complaint):
        path = str(tmp_path / "x.tfrecord")
        write_records(path, sentences, "pretrain", RATIO)
        with open(info_path(path), "w") as stream:
            stream.write(content)
        with pytest.raises(MassError, match=complaint):
            load_records(path)

    def test_of_the_first_format_version(self, tmp_path, sentences):
        path = str(tmp_path / "x.tfrecord")
        write_records(path, sentences, "pretrain", RATIO)
        with open(info_path(path), encoding="utf-8") as stream:
            content = json.load(stream) | {"format_version": 1}
        for name in ("shards", "min_len", "damaged", "percentiles"):
            del content[name]
        with open(info_path(path), "w", encoding="utf-8") as stream:
            json.dump(content, stream)
        assert len(load_records(path)) == 4

    def test_missing(self, tmp_path, sentences):
        path = str(tmp_path / "x.tfrecord")
        write_records(path, sentences, "pretrain", RATIO)
        os.remove(info_path(path))
        with pytest.raises(MassError, match="has no description"):
            load_records(path)

    def test_renamed_together(self, tmp_path, sentences):
        write_records(str(tmp_path / "x.tfrecord"), sentences, "pretrain", RATIO)
        for ending in ("tfrecord", "tfrecord.json"):
            os.rename(tmp_path / f"x.{ending}", tmp_path / f"y.{ending}")
        assert len(load_records(str(tmp_path / "y.tfrecord"))) == 4

    def test_of_another_file(self, tmp_path, sentences):
        first, second = str(tmp_path / "1.tfrecord"), str(tmp_path / "2.tfrecord")
        write_records(first, sentences, "pretrain", RATIO)
        write_records(second, with_max_len(sentences, 3), "pretrain", RATIO)
        shutil.copy(first, second)
        with pytest.raises(MassError, match="holds 4 records where .* says 2"):
            load_records(second)

    def test_of_another_file_of_equal_size(self, tmp_path, sentences):
        path, other = str(tmp_path / "1.tfrecord"), str(tmp_path / "2.tfrecord")
        write_records(path, sentences, "pretrain", RATIO)
        sentences.vocabulary = Dictionary.from_counts({"the": 1})
        write_records(other, sentences, "pretrain", RATIO)
        shutil.copy(other, path)
        os.utime(path, (1, 1))
        with pytest.raises(MassError, match="1.tfrecord: its content is not what its description"):
            load_records(path)


class TestDataSetsOfSeveralFiles:
    @pytest.fixture
    def folder(self, tmp_path, vocabulary):
        for name, text in {"one": "the cat\na dog\n", "two": "the dog sat on\n\n"}.items():
            (tmp_path / f"{name}.txt").write_text(text)
            loader = MonoLingualDataLoader(str(tmp_path / f"{name}.txt"), vocabulary)
            write_records(str(tmp_path / "data" / f"{name}.tfrecord"), loader, "pretrain", RATIO)
        return tmp_path / "data"

    @pytest.mark.parametrize("spec", ["{0}", "{0}/", "{0}/*.tfrecord", "{0}/*", "{0}/one.tfrecord,{0}/two.tfrecord"])
    def test_ways_to_name_them(self, folder, spec):
        records = load_records(spec.format(folder))
        assert [row.tolist() for row in records.columns["tokens"]] == [[5, 7, 2], [6, 8, 2], [5, 8, 9, 3, 2]]
        info = records.info
        assert (len(records), info.lines_read, info.kept, info.dropped) == (3, 4, 3, {"empty": 1})
        assert (info.tokens, info.unknown, info.longest) == ({"tokens": 11}, {"tokens": 1}, {"tokens": 5})
        assert [os.path.basename(path) for path in records.paths] == ["one.tfrecord", "two.tfrecord"]

    @pytest.mark.parametrize("spec, complaint", [
        ("", "no record file is named"), (" , ", "no record file is named"), ("no/such", "'no/such' does not exist"),
        ("*.nothing", "does not exist"),
    ])
    def test_nothing_there(self, spec, complaint):
        with pytest.raises(MassError, match=complaint):
            load_records(spec, "dataset_config.test_dataset")

    def test_folder_without_records(self, tmp_path):
        with pytest.raises(MassError, match="holds no .tfrecord or .mindrecord file"):
            load_records(str(tmp_path))

    def test_other_file(self, folder):
        with pytest.raises(MassError, match="name ends with .tfrecord or .mindrecord"):
            load_records(str(folder / "one.tfrecord.json"))

    def test_both_formats_in_one_folder(self, folder):
        shutil.copy(folder / "one.tfrecord", folder / "one.mindrecord")
        with pytest.raises(MassError, match="as TFRecord and as MindRecord"):
            load_records(str(folder))

    def test_different_kinds(self, folder, pairs):
        write_records(str(folder / "pairs.tfrecord"), pairs, "train", NOISE)
        with pytest.raises(MassError, match="one.tfrecord and .*pairs.tfrecord .* kind is 'sentences' and 'pairs'"):
            load_records(str(folder))

    def test_different_splits(self, folder, sentences):
        write_records(str(folder / "valid.tfrecord"), sentences, "valid", RATIO)
        with pytest.raises(MassError, match="split is 'pretrain' and 'valid'"):
            load_records(str(folder))

    def test_different_vocabularies(self, folder, sentences):
        sentences.vocabulary = Dictionary.from_counts({"the": 9, "bird": 2})
        write_records(str(folder / "other.tfrecord"), sentences, "pretrain", RATIO)
        with pytest.raises(MassError) as caught:
            load_records(str(folder))
        for part in ("one.tfrecord", "other.tfrecord", "10", "7", "id 6", "'a'", "'bird'"):
            assert part in str(caught.value)


@pytest.mark.parametrize("record_format", RECORD_FORMATS)
class TestShards:
    @pytest.fixture
    def text(self, tmp_path):
        words = ["the", "a", "cat", "dog", "sat"]
        lines = [" ".join(words[(number + place) % 5] for place in range(1 + number % 4)) for number in range(23)]
        (tmp_path / "text.txt").write_text("\n".join(lines))
        return lines

    def write(self, tmp_path, vocabulary, record_format, shards):
        path = str(tmp_path / "out" / f"x.{record_format}")
        write_records(path, MonoLingualDataLoader(str(tmp_path / "text.txt"), vocabulary), "pretrain", RATIO, shards)
        return path

    def test_each_example_in_exactly_one_shard(self, tmp_path, text, vocabulary, record_format):
        path = self.write(tmp_path, vocabulary, record_format, 4)
        reader = {"tfrecord": tfrecord.read_tfrecord, "mindrecord": read_mindrecord}[record_format]
        for shard in range(4):
            file = path.replace("x.", f"x-{shard:05}-of-00004.")
            rows = [" ".join(vocabulary.decode(row)) for row in read_all(reader(file, ("tokens",), 99), "tokens")]
            assert rows == text[shard::4]

    @pytest.mark.parametrize("spec", ["{0}/out", "{0}/out/*", "{0}/out/x.{1}", "{0}/out/x-*.{1}",
                                      ",".join(f"{{0}}/out/x-{shard:05}-of-00003.{{1}}" for shard in range(3))])
    @pytest.mark.parametrize("indexed", [True, False])
    def test_read_in_the_order_of_the_text(self, tmp_path, text, vocabulary, record_format, spec, indexed):
        path = self.write(tmp_path, vocabulary, record_format, 3)
        if not indexed:
            shutil.rmtree(f"{path}.index")
        records = load_records(spec.format(tmp_path, record_format))
        assert [" ".join(vocabulary.decode(row)) for row in records.columns["tokens"]] == text
        assert records.paths == (path,) and records.info.shards == 3

    def test_a_missing_shard_is_named(self, tmp_path, text, vocabulary, record_format):
        path = self.write(tmp_path, vocabulary, record_format, 3)
        os.remove(missing := path.replace("x.", "x-00001-of-00003."))
        for spec in (path, str(tmp_path / "out")):
            with pytest.raises(MassError, match=f"{missing} is missing, one of the 3 shards"):
                load_records(spec)

    def test_all_shards_must_be_named(self, tmp_path, text, vocabulary, record_format):
        path = self.write(tmp_path, vocabulary, record_format, 3)
        with pytest.raises(MassError, match="only 1 of the 3 shards .*name the data set"):
            load_records(path.replace("x.", "x-00001-of-00003."))

    def test_other_numbers_of_shards_are_replaced(self, tmp_path, text, vocabulary, record_format):
        for shards in (3, 1, 2):
            path = self.write(tmp_path, vocabulary, record_format, shards)
            assert len(load_records(str(tmp_path / "out"))) == len(load_records(path)) == 23
            files = [name for name in os.listdir(tmp_path / "out") if name.endswith(f".{record_format}")]
            assert len(files) == shards

    def test_more_shards_than_examples(self, tmp_path, text, vocabulary, record_format):
        with pytest.raises(MassError, match="23 examples do not fill 24 shards"):
            self.write(tmp_path, vocabulary, record_format, 24)
        assert os.listdir(tmp_path / "out") == []


@pytest.mark.parametrize("shards", [0, -1, 100_000])
def test_impossible_numbers_of_shards(tmp_path, sentences, shards):
    with pytest.raises(UsageError, match=f"--shards {shards}"):
        write_records(str(tmp_path / "x.tfrecord"), sentences, "pretrain", RATIO, shards)


def test_a_name_that_looks_like_a_shard(tmp_path, sentences):
    with pytest.raises(UsageError, match="would be taken for one of several shards"):
        write_records(str(tmp_path / "news-00001-of-00100.tfrecord"), sentences, "pretrain", RATIO)


def test_shards_of_an_earlier_run_among_them(tmp_path, sentences):
    write_records(str(tmp_path / "x.tfrecord"), sentences, "pretrain", RATIO, 2)
    shutil.copy(tmp_path / "x-00000-of-00002.tfrecord", tmp_path / "x-00000-of-00003.tfrecord")
    with pytest.raises(MassError, match="is there in 2 and in 3 shards"):
        load_records(str(tmp_path))


def test_files_of_a_data_set():
    size = 1 << 22
    assert [RecordOptions(format="mindrecord").shards_for(total) for total in (0, size - 1, size, size * 10**6)] == [
        1, 1, 2, MAX_SHARDS]
    assert RecordOptions().shards_for(size * 10**6) == 1
    assert RecordOptions(shards=3, format="mindrecord").shards_for(0) == RecordOptions(shards=3).shards_for(size) == 3
