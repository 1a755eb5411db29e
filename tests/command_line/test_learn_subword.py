"""scripts/learn_subword.sh: the learned codes, repeated runs, and errors."""
import io
import subprocess
from pathlib import Path

import pytest
from subword_nmt.learn_bpe import learn_bpe

from tests.helpers.scripts import run_script
from tests.helpers.text_folder import TOKENIZED, list_names, make_text_folder


@pytest.fixture
def folder(tmp_path) -> Path:
    return make_text_folder(tmp_path)


def test_codes_are_those_of_subword_nmt(folder):
    expected = io.StringIO()
    learn_bpe(io.StringIO("\n".join(TOKENIZED * 10).replace("<unk>", "")), expected, 20)
    (folder / "tokens" / "notes.md").write_text("not text to learn from " * 100)
    (folder / "tokens" / "test.txt").write_text("\n".join(TOKENIZED * 5))  # no final newline
    for output in ("codes1", "new/codes2"):
        done = run_script("scripts/learn_subword.sh", "tokens", "--symbols=20", "--output", output, cwd=folder)
        assert f"{output}: 20 merges" in done.stdout
        assert (folder / output).read_text(encoding="utf-8") == expected.getvalue()
        checked = subprocess.run(["sha256sum", "-c", f"{Path(output).name}.sha256"], cwd=(folder / output).parent)
        assert checked.returncode == 0
    assert list_names(folder / "new") == ["codes2", "codes2.sha256"]


def test_damaged_codes_are_noticed_by_whatever_reads_them(folder):
    run_script("scripts/learn_subword.sh", "tokens", "--symbols=20", "--output", "c", cwd=folder)
    codes = (folder / "c").read_text()
    (folder / "c").write_text(codes.replace("\nl", "\nm", 1))
    encode = ["apply_bpe_encoding.py", "--codes", "c", "--src_folder", "tokens", "--output_folder", "out"]
    for processes in (1, 2):
        done = run_script(*encode, "--processes", processes, code=1, cwd=folder)
        assert "c: its checksum is not the one in 'c.sha256': it is damaged" in done.stderr
    assert list_names(folder / "out") == []
    (folder / "c.sha256").unlink()
    run_script(*encode, cwd=folder)


def test_learning_stops_when_no_pair_repeats(folder):
    printed = run_script("scripts/learn_subword.sh", "--output", "c", "tokens", cwd=folder).stdout
    assert (folder / "c").read_text().count("\n") - 1 == int(printed.split()[1]) < 46000


def test_codes_that_are_up_to_date_are_not_learned_again(folder):
    learn = ["scripts/learn_subword.sh", "tokens", "--symbols=20", "--output", "new/c", "--quiet"]
    printed = run_script(*learn, cwd=folder).stdout
    before = (folder / "new" / "c").stat().st_mtime_ns
    assert run_script(*learn, cwd=folder).stdout == printed.replace("words\n", "words, unchanged and skipped\n")
    assert (folder / "new" / "c").stat().st_mtime_ns == before
    assert run_script(*learn, "--overwrite", cwd=folder).stdout == printed
    assert "skipped" not in run_script(*learn, "--symbols", 10, cwd=folder).stdout
    assert (folder / "new" / "c").read_text().count("\n") == 11
    (folder / "tokens" / "test.txt").write_text("low lower\n" * 9)
    assert "skipped" not in run_script(*learn, "--symbols", 10, cwd=folder).stdout


def test_damaged_text_is_read_with_errors_replace(folder):
    (folder / "tokens" / "train.txt").write_bytes(b"caf\xe9 " * 99 + b"\n")
    learn = ["scripts/learn_subword.sh", "tokens", "--symbols=20", "--output", "c", "--errors", "replace", "--quiet"]
    result = run_script(*learn, "--processes", 1, cwd=folder)
    assert "1 lines of tokens hold bytes that are not UTF-8" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert "\ufffd" in (folder / "c").read_text(encoding="utf-8")


def test_help(folder):
    for flag in ("-h", "--help"):
        printed = run_script("scripts/learn_subword.sh", flag, cwd=folder).stdout
        assert printed.startswith("usage: sh learn_subword.sh ") and "(default: 46000)" in printed
        assert all(name in printed for name in ("SRC_FOLDER", "--symbols N", "--output FILE", "--processes N"))


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        ([], 2, "arguments are required: SRC_FOLDER"),
        ([""], 2, "argument SRC_FOLDER: the value is empty"),
        (["tokens", "raw"], 2, "unrecognized arguments: raw"),
        (["tokens", "--symbol", "3"], 2, "unrecognized arguments: --symbol 3"),
        (["tokens", "--symbols"], 2, "argument --symbols: expected one argument"),
        (["tokens", "--symbols", "0"], 2, "argument --symbols: '0' is not allowed; allowed are whole numbers from 1"),
        (["tokens", "--symbols", "-5"], 2, "argument --symbols: '-5' is not allowed; allowed are whole numbers from 1"),
        (["tokens", "--symbols", "1e3"], 2, "--symbols: '1e3' is not allowed; allowed are whole numbers from 1"),
        (["tokens", "--processes", "0"], 2, "--processes 0: give 1 process or more"),
        (["tokens", "--errors=ignore"], 2, "argument --errors: invalid choice: 'ignore'"),
        (["tokens", "--output"], 2, "argument --output: expected one argument"),
        (["tokens", "--output="], 2, "argument --output: the value is empty"),
        (["nowhere"], 1, "'nowhere' does not exist"),
        (["empty"], 1, "'empty' holds no file named *.txt"),
        (["bytes"], 1, "bytes/latin.txt, line 2: not UTF-8"),
        (["letters"], 1, "no word of two letters"),
        (["once"], 1, "no pair of letters occurs twice"),
        (["tokens", "--output", "raw"], 1, "'raw' is a folder"),
        (["tokens", "--output", "kept/codes"], 1, "cannot be created"),
    ],
)
def test_invalid_input(folder, arguments, code, message):
    for name, content in (("bytes", b"fine\ncaf\xe9\n"), ("letters", b"a b c\n"), ("once", b"abc\n"), ("empty", None)):
        (folder / name).mkdir()
        if content is not None:
            (folder / name / "latin.txt").write_bytes(content)
    (folder / "kept").write_text("a file")
    before = list_names(folder)
    if code == 1 and "--output" not in arguments:
        arguments = [*arguments, "--output", "out/codes"]
    complaint = run_script("scripts/learn_subword.sh", *arguments, cwd=folder, code=code).stderr
    assert message in complaint and "learn_subword.sh: error: " in complaint
    assert list_names(folder / "out") == []
    assert [name for name in list_names(folder) if name != "out"] == before


def test_existing_codes_are_kept_when_learning_fails(folder):
    (folder / "tokens" / "train.txt").write_bytes(b"\xff\n")
    before = (folder / "codes").read_bytes()
    run_script("scripts/learn_subword.sh", "tokens", "--output", "codes", cwd=folder, code=1)
    assert (folder / "codes").read_bytes() == before
