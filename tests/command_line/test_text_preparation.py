"""What tokenize_corpus.py and apply_bpe_encoding.py share: damaged text, repeated and killed runs, line ends, help."""
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from src.common.files import scratch_prefix
from src.common.processes import ProcessIdentity
from tests.helpers.scripts import run_script, start_script
from tests.helpers.text_folder import encode_command, list_names, make_text_folder, tokenize_command, without_packages


@pytest.fixture
def folder(tmp_path) -> Path:
    return make_text_folder(tmp_path)


@pytest.mark.parametrize("script", ["tokenize", "encode"])
def test_undecodable_bytes_are_replaced_and_counted_with_errors_replace(folder, script):
    (folder / "raw" / "test.txt").write_bytes(b"caf\xe9 (\xff)\nfine\n\xe2\x80\n")
    command = tokenize_command() if script == "tokenize" else encode_command(source="raw")
    message = run_script(*command, cwd=folder, code=1).stderr
    assert "raw/test.txt, line 1: not UTF-8 (byte 0xe9 at column 4)" in message and "--errors replace" in message
    printed = run_script(*command, "--errors", "replace", cwd=folder).stdout
    assert printed.count("2 lines with bytes that are not UTF-8") == 2  # for the file and in the totals
    output = "test_tokenized.txt" if script == "tokenize" else "test_bpe.txt"
    lines = (folder / "out" / output).read_text(encoding="utf-8").split("\n")
    assert len(lines) == 4 and lines[0].count("\ufffd") == 2 and lines[2] == "\ufffd"
    repeated = run_script(*command, "--errors", "replace", cwd=folder).stdout
    assert "2 lines with bytes that are not UTF-8 (now U+FFFD), unchanged and skipped" in repeated
    run_script(*command, cwd=folder, code=1)  # the output of another setting is not up to date


def test_quiet_prints_the_totals_only(folder):
    for command, lines in ((tokenize_command(), 1), (encode_command("--vocab_path", "v.bin", output="bpe"), 4)):
        result = run_script(*command, "--quiet", cwd=folder)
        assert result.stderr == ""
        assert len(result.stdout.splitlines()) == lines and result.stdout.startswith("all files")


def times(folder: Path) -> dict[str, int]:
    return {name: (folder / name).stat().st_mtime_ns for name in list_names(folder)}


def test_a_repeated_run_recreates_only_outdated_files(folder):
    command = encode_command("--vocab_path", "v.bin")
    run_script(*command, cwd=folder)
    before, vocabulary = times(folder / "out"), (folder / "v.bin").read_bytes()

    printed = run_script(*command, cwd=folder).stdout
    assert printed.count("unchanged and skipped") == 3 and "(2 files)" in printed
    assert times(folder / "out") == before
    assert (folder / "v.bin").read_bytes() == vocabulary  # from the counts of the first run

    with open(folder / "tokens" / "test.txt", "a") as stream:  # an input
        stream.write("one more line\n")
    (folder / "out" / "train.dict").unlink()  # an output
    printed = run_script(*command, cwd=folder).stdout
    assert "skipped" not in printed
    assert (folder / "out" / "test_bpe.txt").read_text().count("\n") == 21
    assert list_names(folder / "out") == ["test.dict", "test_bpe.txt", "train.dict", "train_bpe.txt"]

    for note in (folder / "out" / ".finished").iterdir():
        note.write_bytes(note.read_bytes()[: 40 if "test" in note.name else -1] + b"x")
    assert "skipped" not in run_script(*command, cwd=folder).stdout
    assert "skipped" not in run_script(*command, "--overwrite", cwd=folder).stdout
    assert run_script(*command, cwd=folder).stdout.count("skipped") == 3
    with open(folder / "codes", "a") as stream:  # a setting
        stream.write("z z\n")
    assert "skipped" not in run_script(*command, cwd=folder).stdout


def test_outputs_of_removed_text_are_mentioned(folder):
    """The next step reads all text of its folder."""
    for command, source in ((tokenize_command(), "raw"), (encode_command(), "tokens")):
        run_script(*command, "--overwrite", cwd=folder)
        (folder / source / "test.txt").unlink()
        done = run_script(*command, cwd=folder)
        assert f"was made from {folder / source / 'test.txt'}, which is gone" in done.stderr
        assert "train" not in done.stderr


def test_outputs_of_another_tokenizer_are_not_up_to_date(folder):
    run_script(*tokenize_command(), cwd=folder)
    assert "skipped" not in run_script(*tokenize_command("--tokenizer", "jieba"), cwd=folder).stdout
    assert run_script(*tokenize_command("--tokenizer", "jieba"), cwd=folder).stdout.count("skipped") == 3


def test_a_killed_run_leaves_no_incomplete_file_and_the_next_run_cleans_up(folder):
    """The run is killed when the first file is complete; the second one is large enough to be incomplete then."""
    (folder / "tokens" / "a.txt").write_text("low lower lowest\n")
    os.remove(folder / "tokens" / "train.txt")
    (folder / "tokens" / "test.txt").write_text("low lower lowest\n" * 300_000)
    arguments = encode_command("--processes", 2)
    process = start_script(*arguments, cwd=folder, start_new_session=True)
    assert "a_bpe.txt" in process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.stdout.read()  # returns when the workers have ended too
    process.wait()
    left = list_names(folder / "out")
    assert "a_bpe.txt" in left
    if "test_bpe.txt" in left:  # it was written before the signal arrived
        assert (folder / "out" / "test_bpe.txt").read_text().count("\n") == 300_000

    own = ProcessIdentity.own()
    (folder / "out" / f"{scratch_prefix(replace(own, pid=process.pid))}abcdefgh").mkdir()
    (folder / "out" / f"{scratch_prefix(own)}abcdefgh").mkdir()  # of a running process
    printed = run_script(*arguments, cwd=folder).stdout
    assert "a_bpe.txt: 1 lines, " in printed and "unchanged and skipped" in printed
    hidden = [name for name in list_names(folder / "out") if name.startswith(".")]
    assert hidden == [f"{scratch_prefix(own)}abcdefgh"]
    assert (folder / "out" / "test_bpe.txt").read_text().count("\n") == 300_000


@pytest.mark.parametrize("processes", [1, 2])
def test_unusual_characters_do_not_shift_lines(folder, processes):
    """Lines keep their places despite line ends of other kinds, separators, control characters and a megabyte line."""
    source = ["\ufefffirst\r", "", "a\u2028b\x85c\x0bd\x1ce\rf", "\x00\x07", " " * 50, "x" * 500_000 + " y" * 250_000,
              "\u3000\r", "<unk>\tUNK</s>", "\ufeff", "last"]
    for name in ("test", "train"):
        (folder / "raw" / f"{name}.txt").write_bytes("\n".join(source).encode())
    run_script(*tokenize_command("--pool_size", processes, output="t"), cwd=folder)
    run_script(*encode_command("--processes", processes, source="t", output="e"), cwd=folder)
    for path in (folder / "t" / "test_tokenized.txt", folder / "e" / "test_tokenized_bpe.txt"):
        lines = path.read_bytes().decode().replace("@@ ", "").split("\n")
        assert [len(line) for line in lines] == [5, 0, 11, 0, 0, 1_000_000, 0, 14, 0, 4, 0]
        assert lines[0] == "first" and lines[2] == "a b c d e f" and lines[7] == "<unk> UNK </s>" and lines[9] == "last"


def test_help_lists_all_flags_and_nothing_imports_mindspore(folder):
    environment = without_packages(folder, "mindspore")
    for script, flags in (
        ("tokenize_corpus.py", ["--corpus_folder", "--output_folder", "--tokenizer", "--pool_size", "--errors",
                                "--overwrite", "--quiet"]),
        (
            "apply_bpe_encoding.py",
            ["--codes", "--src_folder", "--output_folder", "--prefix", "--vocab_path", "--threshold", "--processes"],
        ),
    ):
        printed = run_script(script, "--help", cwd=folder, environment=environment).stdout
        assert all(flag in printed for flag in flags)
    run_script(*tokenize_command(), cwd=folder, environment=environment)
    run_script(*encode_command(), cwd=folder, environment=environment)
