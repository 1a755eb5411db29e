"""Every file format that the program reads, flipped, cut and forged: refused with a sentence, or equal to the original.

Nothing else may be raised, and no file may appear outside of the folder of the data.
"""
import gzip
import json
import operator
import os
import pickle
import shutil
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.config import Config
from config.loading import load_config, save_config
from src.checkpoints.files import CheckpointFiles, stamp
from src.checkpoints.find import find_model
from src.checkpoints.resume import load_intact_weights, read_training_state
from src.common.checksum_files import output_with_checksum
from src.common.errors import MassError
from src.common.finished_outputs import FinishedOutputs
from src.common.json_files import CHECKSUM, checksum_of
from src.dataset.records.record_set import load_records
from src.launcher.rank_table import read_rank_table
from src.text.text_processing import TextProcessing
from src.utils.bpe.codes import BpeCodes
from src.utils.dictionary import Dictionary
from src.utils.load_weights import save_weights
from src.utils.monitoring.metrics_file import MetricsFile, read_metrics
from src.utils.pickled_dictionary import read_pickled_dictionary
from tests.helpers.records import RATIO, VOCABULARY, sentence_loader, write_records
from tests.helpers.tiny_training import STATE

EXAMPLES = 20  # for each file and kind of damage; all of them take about 25 seconds

ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(1, np.float32), "c": np.array(2.0)}
METADATA = {"step": 3, "config": {"model_config": {"vocab_size": 0, "hidden_size": 8}},
            "vocabulary": {"file": "v.bin", "size": len(VOCABULARY), "fingerprint": VOCABULARY.fingerprint}}


class Format(NamedTuple):
    """A file format: how a file of it is written, and what the program reads from it."""

    name: str  # of the file, in the folder of the data
    write: Callable[[Path], None]  # writes all files into the folder
    read: Callable[[Path], Any]
    notices: bool = True  # every damage: the format has a checksum. Files that users write have none
    allowed: Callable[[Any, Any], bool] = operator.eq  # whether what is found may be read instead of the intact content


def write_record_files(folder):
    write_records(str(folder / "x.tfrecord"), sentence_loader(folder), "pretrain", RATIO)


def write_mindrecord_files(folder):
    from mindspore.mindrecord import FileWriter

    def small(writer, *arguments, **options):
        begin(writer, *arguments, **options)
        writer.set_header_size(1 << 14)
        writer.set_page_size(1 << 15)

    begin = FileWriter.__init__
    with mock.patch.object(FileWriter, "__init__", small):  # a file would have 50 MB otherwise
        write_records(str(folder / "x.mindrecord"), sentence_loader(folder), "pretrain", RATIO)
    assert (folder / "x.mindrecord").stat().st_size < 100_000
    shutil.rmtree(folder / "x.mindrecord.index")


def read_record_files(folder, name="x.tfrecord"):
    records = load_records(str(folder / name))
    vocabulary = records.load_vocabulary()
    return records.info, [row.tolist() for row in records.columns["tokens"]], vocabulary.tokens, vocabulary.frequencies


def without_index(folder):
    shutil.rmtree(folder / "x.tfrecord.index", ignore_errors=True)
    return read_record_files(folder)


def read_mindrecord_files(folder):
    shutil.rmtree(folder / "x.mindrecord.index", ignore_errors=True)
    return read_record_files(folder, "x.mindrecord")


def write_checkpoint(folder):
    files = CheckpointFiles(str(folder / "ckpt-17"))
    for path in (files.weights, files.optimizer_state):
        save_weights(path, ARRAYS, METADATA)
    stamps = {os.path.basename(path): stamp(path) for path in (files.weights, files.optimizer_state)}
    Path(files.training_state).write_text(STATE.to_json(files=stamps))


def write_model(ending):
    def write(folder):
        VOCABULARY.persistence(str(folder / "v.bin"))
        save_weights(str(folder / f"m{ending}"), ARRAYS, METADATA)
    return write


def read_model(ending):
    def read(folder):
        weights = load_intact_weights(str(folder / f"m{ending}"))
        files = find_model(checkpoint=str(folder / f"m{ending}"))
        return {name: array.tolist() for name, array in weights.arrays.items()}, weights.metadata, files.step
    return read


def write_ckpt(folder):
    import mindspore

    parameters = [{"name": name, "data": mindspore.Tensor(array)} for name, array in ARRAYS.items()]
    mindspore.save_checkpoint(parameters, str(folder / "m.ckpt"))


def read_ckpt(folder):
    return {name: array.tolist() for name, array in load_intact_weights(str(folder / "m.ckpt")).arrays.items()}


def write_codes(folder):
    with output_with_checksum(str(folder / "all.codes")) as temporary:
        Path(temporary).write_text("#version: 0.2\nt h\nth e</w>\n")


def read_codes(folder):
    return BpeCodes.load(str(folder / "all.codes"))


def write_text(folder):
    (folder / "codes").write_text("#version: 0.2\nt h\nth e</w>\n")
    TextProcessing("nltk", str(folder / "codes"), lower_case=True).save(str(folder))
    (folder / "codes").rename(folder / "v.bpe")


def read_text(folder):
    found = TextProcessing.load(str(folder))
    found.check()
    return found


def write_metrics(folder):
    file = MetricsFile(str(folder / "metrics.jsonl"))
    for step in (1, 2):
        file.write({"event": "valid", "step": step, "seconds": 0.5, "ppl": 3.5})
    file.close()


def are_of(found, intact):
    """Whether all entries are intact ones: others may be missing, as after a kill."""
    return all(entry in intact for entry in found)


def note_task(folder):
    (folder / "input").touch()
    os.utime(folder / "input", (5, 5))
    return FinishedOutputs(str(folder)).task("n", [str(folder / "input")], {"x": 1})


def read_note(folder):
    found = note_task(folder).summary
    if found is None:
        raise MassError("made again")
    return found


RANKS = {"version": "1.0", "server_count": "1", "status": "completed", "server_list": [
    {"server_id": "10.0.0.1", "device": [{"device_id": str(n), "rank_id": str(n)} for n in range(2)]}]}

FORMATS = [
    Format("x.tfrecord", write_record_files, without_index),
    Format("x.tfrecord.json", write_record_files, without_index),
    Format("x.tfrecord.json", write_record_files, read_record_files),
    *(Format(f"x.tfrecord.index/{name}", write_record_files, read_record_files)
      for name in ("header.json", "tokens.values.npy", "tokens.offsets.npy", "tokens.lengths.npy")),
    Format(f"vocabulary-{VOCABULARY.fingerprint[:12]}.dict.bin", write_record_files, read_record_files),
    Format("m.safetensors", write_model(".safetensors"), read_model(".safetensors")),
    Format("m.npz", write_model(".npz"), read_model(".npz")),
    *(Format(f"ckpt-17{ending}", write_checkpoint,
             lambda folder: read_training_state(CheckpointFiles(str(folder / "ckpt-17"))))
      for ending in (".safetensors", ".state.safetensors", ".state.json")),
    Format("text.json", write_text, read_text),
    Format(".finished/n.json", lambda folder: note_task(folder).finish([str(folder / "input")], {"x": 7}), read_note),
    *(Format(name, write_mindrecord_files, read_mindrecord_files)
      for name in ("x.mindrecord", "x.mindrecord.db", "x.mindrecord.json")),
    Format("m.ckpt", write_ckpt, read_ckpt, False),
    Format("all.codes", write_codes, read_codes),
    Format("all.codes.sha256", write_codes, read_codes),
    Format("v.bpe", write_text, lambda folder: BpeCodes.load(str(folder / "v.bpe")), False),
    Format("metrics.jsonl", write_metrics, lambda folder: read_metrics(str(folder / "metrics.jsonl")), allowed=are_of),
    Format("config.json", lambda folder: save_config(Config(), str(folder / "config.json")),
           lambda folder: load_config(str(folder / "config.json"))),
    Format("ranks.json", lambda folder: (folder / "ranks.json").write_text(json.dumps(RANKS)),
           lambda folder: read_rank_table(str(folder / "ranks.json")), False),
    Format("old.dict", lambda folder: (folder / "old.dict").write_bytes(pickle.dumps({"symbols": ["a"], "x": 1})),
           lambda folder: read_pickled_dictionary(str(folder / "old.dict")), False),
]
HOSTILE = [None, True, -1, 0, 1 << 62, 10**30, 1e300, "", "../../x.bin", "/dev/zero", "x\0", "x" * 5000, [], [[]], {},
           {"": 0}, [10**30], {"file": "../x"}, "\u2028", 0.5, "100", ["x"]]
TEXTS = ["[" * 100_000, "9" * 5000, '{"a":' * 2000, '"\\ud800"', "NaN", "1e999", "-Infinity", '"\\u0000"', "\ufeff{}",
         "{}" * 2]


def formats(wanted: Callable[[str], bool]) -> list:
    """The formats whose file names are wanted, as parameters."""
    return [pytest.param(form, id=form.name) for form in FORMATS if wanted(form.name)]


@pytest.fixture(scope="module", params=FORMATS, ids=lambda form: form.name)
def written(request, tmp_path_factory):
    """A format, a folder with intact files of it, and what is read from them (of an old vocabulary nothing is)."""
    folder = tmp_path_factory.mktemp("hostile") / "data"
    folder.mkdir()
    request.param.write(folder)
    shutil.copytree(folder, folder.parent / "intact")
    intact = request.param.read(folder) if request.param.name != "old.dict" else None
    return request.param, folder, intact


def check(written, damaged: bytes, notices: bool) -> None:
    """Put the bytes in place of the file and read it."""
    form, folder, intact = written
    path = restored(written)
    path.unlink()
    path.write_bytes(damaged)
    before = {path for path in folder.parent.rglob("*") if folder not in path.parents}
    try:
        found = form.read(folder)
    except MassError as error:
        assert str(error)
    else:
        assert not notices or form.allowed(found, intact)
    assert {path for path in folder.parent.rglob("*") if folder not in path.parents} == before


def restored(written) -> Path:
    """Make the folder of the data anew from links to the intact files, and return the path of the format's file."""
    form, folder, _ = written
    shutil.rmtree(folder)
    shutil.copytree(folder.parent / "intact", folder, copy_function=os.link)
    return folder / form.name


def content_of(written) -> bytes:
    form, folder, _ = written
    return (folder.parent / "intact" / form.name).read_bytes()


BOUNDED = settings(max_examples=EXAMPLES, database=None,
                   suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@BOUNDED
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit(written, place, bit):
    data = bytearray(content_of(written))
    data[int(place * len(data))] ^= 1 << bit
    check(written, bytes(data), written[0].notices)


@BOUNDED
@given(place=st.floats(0, 1, exclude_max=True), length=st.integers(1, 100), tail=st.binary(max_size=20))
def test_a_cut(written, place, length, tail):
    """The end is missing, or bytes in the middle; or others are in their place."""
    data = content_of(written)
    first = int(place * len(data))
    check(written, data[:first] + tail, written[0].notices)
    check(written, data[:first] + tail + data[first + length :], written[0].notices)


def test_no_cut_of_metrics_makes_another_entry(tmp_path):
    """All of them: a number that is cut can go on with the digits of the checksum."""
    write_metrics(tmp_path)
    path = tmp_path / "metrics.jsonl"
    data, intact = path.read_bytes(), read_metrics(str(path))
    for first, end in combinations(range(len(data) + 1), 2):
        path.write_bytes(data[:first] + data[end:])
        with suppress(MassError):
            assert are_of(read_metrics(str(path)), intact), path.read_bytes()


@pytest.mark.parametrize("written", formats(lambda name: name.endswith(".json")), indirect=True)
@BOUNDED
@given(data=st.data())
def test_a_forged_value(written, data):
    """A value of a JSON file is replaced, and the checksum is right again."""
    form, folder, _ = written
    content = json.loads(content_of(written))
    content.pop(CHECKSUM, None)
    place, key = content, data.draw(st.sampled_from(sorted(content)))
    while isinstance(place[key], dict) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place)))
    place[key] = data.draw(st.sampled_from(HOSTILE))
    if form.name in ("x.tfrecord.json", "x.mindrecord.json", ".finished/n.json", "text.json", "config.json"):
        content[CHECKSUM] = checksum_of(content)
    check(written, json.dumps(content).encode(), notices=False)


@pytest.mark.parametrize("written", formats(lambda name: ".json" in name), indirect=True)
@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:8].encode("unicode_escape").decode())
def test_malformed_json(written, text):
    check(written, text.encode(), notices=False)
    check(written, ('{"x": ' + text + "}").encode(), notices=False)


@pytest.mark.parametrize("kind", ["fifo", "folder", "loop", "device"])
def test_what_is_not_a_file(written, kind):
    """It is refused without waiting for it or reading it for ever."""
    form, folder, intact = written
    path = restored(written)
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path.name if kind == "loop" else "/dev/zero")
    try:
        assert not form.notices or form.allowed(form.read(folder), intact)
    except MassError as error:
        assert str(error)


def test_a_vocabulary_that_is_a_bomb(tmp_path):
    """It is refused while it is decompressed."""
    (tmp_path / "v.bin").write_bytes(gzip.compress(b" " * (1 << 29), 1))
    tracemalloc.start()
    with pytest.raises(MassError, match="larger than 64 MiB"):
        Dictionary.load_from_persisted_dict(str(tmp_path / "v.bin"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300 << 20


def test_arrays_that_are_bombs(tmp_path):
    """An array that claims more than its file holds, and one of zeros that is compressed a thousand times."""
    path = str(tmp_path / "m.npz")
    np.savez_compressed(path, a=np.zeros(10_000_000))
    with pytest.raises(MassError, match="much larger"):
        load_intact_weights(path)
    with zipfile.ZipFile(path, "w") as archive, archive.open("a.npy", "w") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": (3 << 40,)})
    with pytest.raises(MassError, match="its size is not that of an array"):
        load_intact_weights(path)
