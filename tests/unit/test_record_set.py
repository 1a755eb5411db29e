"""Opening data sets: the ways to name them, shards, and data sets that cannot be used together."""
import os
import shutil

import pytest

from src.common.errors import MassError
from src.dataset.records.files import RECORD_FORMATS
from src.dataset.records.record_set import load_records
from src.utils.dictionary import Dictionary
from tests.helpers.records import (
    LINES,
    NOISE,
    RATIO,
    VOCABULARY,
    pair_loader,
    sentence_loader,
    write_records,
    write_shards,
)


@pytest.fixture
def sentences(tmp_path):
    return sentence_loader(tmp_path)


class TestDataSetsOfSeveralFiles:
    @pytest.fixture
    def folder(self, tmp_path):
        for name, text in {"one": "the cat\na dog\n", "two": "the dog sat on\n\n"}.items():
            loader = sentence_loader(tmp_path, text.splitlines())
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

    def test_different_kinds(self, folder, tmp_path):
        write_records(str(folder / "pairs.tfrecord"), pair_loader(tmp_path), "train", NOISE)
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
    @pytest.mark.parametrize("spec", ["{0}/out", "{0}/out/*", "{0}/out/x.{1}", "{0}/out/x-*.{1}",
                                      ",".join(f"{{0}}/out/x-{shard:05}-of-00003.{{1}}" for shard in range(3))])
    @pytest.mark.parametrize("indexed", [True, False])
    def test_read_in_the_order_of_the_text(self, tmp_path, record_format, spec, indexed):
        path = write_shards(tmp_path, record_format, 3)
        if not indexed:
            shutil.rmtree(f"{path}.index")
        records = load_records(spec.format(tmp_path, record_format))
        assert [" ".join(VOCABULARY.decode(row)) for row in records.columns["tokens"]] == LINES
        assert records.paths == (path,) and records.info.shards == 3

    def test_a_missing_shard_is_named(self, tmp_path, record_format):
        path = write_shards(tmp_path, record_format, 3)
        os.remove(missing := path.replace("x.", "x-00001-of-00003."))
        for spec in (path, str(tmp_path / "out")):
            with pytest.raises(MassError, match=f"{missing} is missing, one of the 3 shards"):
                load_records(spec)

    def test_all_shards_must_be_named(self, tmp_path, record_format):
        path = write_shards(tmp_path, record_format, 3)
        with pytest.raises(MassError, match="only 1 of the 3 shards .*Name the data set"):
            load_records(path.replace("x.", "x-00001-of-00003."))


def test_shards_of_an_earlier_run_among_them(tmp_path, sentences):
    write_records(str(tmp_path / "x.tfrecord"), sentences, "pretrain", RATIO, 2)
    shutil.copy(tmp_path / "x-00000-of-00002.tfrecord", tmp_path / "x-00000-of-00003.tfrecord")
    with pytest.raises(MassError, match="exists in 2 and in 3 shards"):
        load_records(str(tmp_path))
