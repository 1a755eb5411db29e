"""What all formats of export.py have in common: flags, packages, sentences for the verification, folders."""
import json

import pytest

from src.common.errors import MassError, UsageError
from src.common.files import atomic_folder
from src.export.folder import EXPORT_FILE, read_export_file
from src.export.importer import import_model
from src.export.registry import FORMATS
from src.export.verification import draw_sentences
from src.utils.dictionary import Dictionary
from tests.helpers.exporting import write_pegasus

DESCRIPTION = {"format": "mass-export", "version": 1, "config": {}, "step": 1,
               "vocabulary": {"file": "words.bin", "size": 1, "fingerprint": "0"}}


@pytest.mark.parametrize("name", FORMATS)
def test_a_missing_package_is_named(name, monkeypatch):
    target = FORMATS[name]
    monkeypatch.setattr(target, "packages", ("no_such_package",), raising=False)
    monkeypatch.setattr(target, "runtime_packages", ("no_other_package",), raising=False)
    with pytest.raises(MassError, match="needs no_such_package, no_other_package, which are not installed: pip install "
                                        "-r requirements-export.txt"):
        target.require_packages()
    with pytest.raises(MassError, match="needs no_such_package, which is not installed: pip"):
        target.require_packages(verify=False)
    monkeypatch.setattr(target, "packages", ("json",), raising=False)
    with pytest.raises(MassError, match="no_other_package, which is not installed \\(--no-verify does without\\): pip"):
        target.require_packages()
    target.require_packages(verify=False)


def test_an_unknown_quantization_is_refused():
    with pytest.raises(UsageError, match="--quantize int4: --format huggingface has no such quantization"):
        FORMATS["huggingface"].require_quantization("int4")
    FORMATS["huggingface"].require_quantization("")


def test_drawn_sentences_are_whole_words_of_the_vocabulary():
    vocabulary = Dictionary([("the", 90), ("ca@@", 5), ("t", 5)])
    sentences = draw_sentences(vocabulary, 50)
    assert sentences == draw_sentences(vocabulary, 50) != draw_sentences(vocabulary, 50, seed=2)
    words = " ".join(sentences).split(" ")
    assert set(words) == {"the", "t"} and words.count("the") > 5 * words.count("t")
    assert all(1 <= len(sentence.split(" ")) <= 20 for sentence in sentences)


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    target = tmp_path / "folder"
    for name in ("one", "two"):
        with atomic_folder(str(target)) as folder:
            open(f"{folder}/{name}", "w").close()
        assert [path.name for path in target.iterdir()] == [name]
    with pytest.raises(ValueError), atomic_folder(str(target)):
        raise ValueError
    assert [path.name for path in target.iterdir()] == ["two"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_packages_of_quantization(monkeypatch):
    """ONNX Runtime is needed to verify and to quantize, not to write."""
    target = FORMATS["onnx"]
    for name, packages in (("packages", ("json",)), ("runtime_packages", ("no_package",)),
                           ("quantizing_packages", ("no_package",))):
        monkeypatch.setattr(target, name, packages, raising=False)
    target.require_packages(verify=False)
    with pytest.raises(MassError, match="needs no_package, which is not installed: pip"):
        target.require_packages(verify=False, quantize="int8")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "mass-export", "version": 9}',
                                     '{"format": "mass-export", "version": 1}',
                                     *(json.dumps({**DESCRIPTION, "config": config}) for config in (
                                         [], "x", {"model_config": [1]}, {"model_config": {"z": 1}},
                                         {"model_config": {"hidden_size": "x"}}))])
def test_a_damaged_description_is_named(tmp_path, content):
    (tmp_path / EXPORT_FILE).write_text(content)
    with pytest.raises(MassError, match="not a description of an exported model"):
        read_export_file(str(tmp_path))


def test_a_fingerprint_that_is_no_text_is_refused(tmp_path):
    write_pegasus(tmp_path / "pegasus", mass_vocabulary_fingerprint=5)
    Dictionary.from_counts({f"w{number}": 1 for number in range(50)}).persistence(str(tmp_path / "v.bin"))
    with pytest.raises(MassError):
        import_model(str(tmp_path / "pegasus"), str(tmp_path / "run"), vocabulary=str(tmp_path / "v.bin"))


def test_a_description_that_names_a_path_is_refused(tmp_path):
    content = {**DESCRIPTION, "vocabulary": {**DESCRIPTION["vocabulary"], "file": "../words.bin"}}
    (tmp_path / EXPORT_FILE).write_text(json.dumps(content))
    write_pegasus(tmp_path / "pegasus")
    with pytest.raises(MassError, match="only a plain file name"):
        import_model(str(tmp_path / "pegasus"), str(tmp_path / "run"), like=str(tmp_path))
