"""apply_bpe_encoding.py: encoded text, counts, the vocabulary, and errors."""
import pickle
from collections import Counter
from pathlib import Path

import pytest

from src.utils import Dictionary
from tests.helpers.scripts import run_script
from tests.helpers.text_folder import TOKENIZED, encode_command, list_names, make_text_folder


@pytest.fixture
def folder(tmp_path) -> Path:
    return make_text_folder(tmp_path)


def test_text_counts_and_vocabulary_are_written(folder):
    printed = run_script(*encode_command("--vocab_path", "vocab/v.dict.bin", "--threshold", 5), cwd=folder).stdout
    assert list_names(folder / "out") == ["test.dict", "test_bpe.txt", "train.dict", "train_bpe.txt"]
    encoded = (folder / "out" / "train_bpe.txt").read_text(encoding="utf-8")
    assert encoded.replace("@@ ", "").split("\n") == [*TOKENIZED * 5, ""]

    counts = Counter(encoded.split())
    unknown = counts.pop("<unk>")
    one = Dictionary.load_from_text(str(folder / "out" / "train.dict"))
    assert dict(zip(one.tokens[5:], one.frequencies[5:], strict=True)) == counts

    both = Dictionary.load_from_text([str(folder / "out" / f"{name}.dict") for name in ("train", "test")])
    vocabulary = Dictionary.load_from_persisted_dict(str(folder / "vocab" / "v.dict.bin"))
    assert vocabulary.tokens == both.shrink(5).tokens
    assert vocabulary.fingerprint in printed
    assert f"{len(vocabulary)} tokens, from" in printed
    lost = sum(both.frequencies[len(vocabulary) :]) + 2 * unknown
    assert f"{lost} become <unk> ({2 * unknown} of them" in printed


def test_counts_of_text_with_unusual_white_space_can_be_loaded(folder):
    (folder / "tokens" / "test.txt").write_bytes("low\u00a0price \u00a0 lower\x85 \t <unk>\r\n".encode() * 9)
    run_script(*encode_command("--vocab_path", "v.bin"), cwd=folder)
    assert (folder / "out" / "test_bpe.txt").read_bytes().count(b"\n") == 9
    words = Dictionary.load_from_text(str(folder / "out" / "test.dict")).tokens[5:]
    assert words and not any(word.isspace() for word in words)


def test_only_files_with_the_prefix_are_encoded(folder):
    printed = run_script(*encode_command("--prefix", "tr"), cwd=folder).stdout
    assert list_names(folder / "out") == ["train.dict", "train_bpe.txt"]
    assert "no vocabulary was built" in printed


def test_a_vocabulary_is_replaced_only_after_success(folder):
    old = Dictionary.from_counts({"old": 1})
    old.persistence(str(folder / "v.bin"))
    before = (folder / "v.bin").read_bytes()
    (folder / "tokens" / "z.txt").write_bytes(b"\xff\n")
    assert "z.txt, line 1" in run_script(*encode_command("--vocab_path", "v.bin"), cwd=folder, code=1).stderr
    assert (folder / "v.bin").read_bytes() == before
    printed = run_script(*encode_command("--vocab_path", "v.bin", "--prefix", "t"), cwd=folder).stdout
    assert "replaces a different vocabulary" in printed
    assert Dictionary.load_from_persisted_dict(str(folder / "v.bin")).fingerprint != old.fingerprint


@pytest.mark.parametrize("processes", [1, 3])
def test_the_output_does_not_depend_on_the_number_of_processes(folder, processes):
    for output, count in (("two", 2), ("other", processes)):
        run_script(*encode_command("--processes", count, "--vocab_path", f"{output}.bin", output=output), cwd=folder)
    for name in list_names(folder / "two"):
        assert (folder / "two" / name).read_bytes() == (folder / "other" / name).read_bytes()
    assert (folder / "two.bin").read_bytes() == (folder / "other.bin").read_bytes()


@pytest.mark.parametrize(
    "change, code, message",
    [
        ({"codes": "nowhere"}, 1, "BPE codes 'nowhere' does not exist"),
        ({"codes": "raw"}, 1, "is a folder"),
        ({"codes": "raw/train.txt"}, 1, "line 1"),
        ({"source": "nowhere"}, 1, "'nowhere' does not exist"),
        ({"source": "empty"}, 1, "holds no file named *.txt"),
        ({"source": "bytes"}, 1, "bytes/latin.txt, line 2: not UTF-8"),
        ({"source": "hollow"}, 1, "no text"),
        ({"output": "tokens"}, 2, "output folder"),
        ({"output": "codes"}, 2, "'codes' is a file"),
        ({"more": ["--prefix", "valid"]}, 1, "holds no file named valid*.txt"),
        ({"more": ["--processes", "0"]}, 2, "--processes 0"),
        ({"more": ["--threshold", "5"]}, 2, "--vocab_path"),
        ({"more": ["--threshold", "-1", "--vocab_path", "v.bin"]}, 2, "--threshold -1"),
        ({"more": ["--threshold", "few", "--vocab_path", "v.bin"]}, 2, "--threshold"),
        ({"more": ["--vocab_path", "raw"]}, 1, "raw"),
        ({"more": ["--vocab_path", "codes"]}, 1, "not overwritten"),
        ({"more": ["--vocab_path", "pickle.bin"]}, 1, "pickle"),
        ({"more": ["--vocab_path", "codes/v.bin"]}, 2, "'codes' is a file"),
    ],
)
def test_invalid_input(folder, change, code, message):
    for name, content in (("bytes/latin.txt", b"fine\ncaf\xe9\n"), ("hollow/a.txt", b"")):
        (folder / name).parent.mkdir()
        (folder / name).write_bytes(content)
    (folder / "empty").mkdir()
    (folder / "pickle.bin").write_bytes(pickle.dumps({"a": 1}))
    before = list_names(folder)
    assert message in run_script(*encode_command(*change.pop("more", []), **change), cwd=folder, code=code).stderr
    assert list_names(folder / "out") == []
    assert [name for name in list_names(folder) if name != "out"] == before
    assert list_names(folder / "tokens") == ["test.txt", "train.txt"]


def test_the_output_without_a_compiler_is_the_same_and_a_line_gives_the_reason(folder):
    fast = run_script(*encode_command("--vocab_path", "fast.bin", output="fast"), cwd=folder)
    slow = run_script(*encode_command("--vocab_path", "slow.bin", output="slow"), cwd=folder,
                      environment={"CC": "/nonexistent/cc"})
    assert slow.stderr.count("slower: no C compiler found") == 1 and fast.stderr == ""
    for name in list_names(folder / "fast"):
        assert (folder / "fast" / name).read_bytes() == (folder / "slow" / name).read_bytes()
