"""Outputs that would replace an input, another output or a device are refused before any work is done."""
import os
import stat
from pathlib import Path

import pytest

from src.common.errors import UsageError
from src.common.files import atomic_output, atomic_outputs
from src.common.output_checks import find_repeated_file, require_different_files, require_replaceable
from src.utils.dictionary import Dictionary
from tests.helpers.scripts import run_script
from tests.helpers.text_folder import make_text_folder

CODES = "#version: 0.2\nl o\nlo w</w>\n"


@pytest.fixture
def folder(tmp_path) -> Path:
    make_text_folder(tmp_path)
    (tmp_path / "all.codes").write_text(CODES)
    (tmp_path / "c.dict").write_text("cat 5\ndog 4\n")
    (tmp_path / "counts").mkdir()
    (tmp_path / "counts" / "a.dict").write_text("cat 5\n")
    (tmp_path / "encoded").mkdir()
    for name in ("v.bin", "w.bin", "encoded/vocabulary.dict.bin"):
        Dictionary.from_counts({"cat": 3, "dog": 2}).persistence(str(tmp_path / name))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("c.dict")
    return tmp_path


def state_of(folder: Path) -> dict[str, object]:
    return {str(path): path.read_bytes() if path.is_file() else stat.S_IFMT(path.lstat().st_mode)
            for path in folder.rglob("*")}


ENCODE = ("apply_bpe_encoding.py", "--codes", "all.codes", "--src_folder", "tokens", "--output_folder", "out")


@pytest.mark.parametrize(("command", "message"), [
    (("scripts/learn_subword.sh", "tokens", "--output", "tokens/train.txt"), "a source text and --output are the same"),
    (("scripts/learn_subword.sh", "tokens", "--output", "pipe"), "--output 'pipe' is a device or a pipe"),
    (("scripts/learn_subword.sh", "tokens", "--output", "/dev/null"), "--output '/dev/null' is a device or a pipe"),
    ((*ENCODE, "--vocab_path", "out/train_bpe.txt"), "the converted text and --vocab_path are the same file"),
    ((*ENCODE, "--vocab_path", "out/train.dict"), "the file of frequencies and --vocab_path are the same file"),
    (("vocabulary.py", "build", "c.dict", "--output", "c.dict", "--overwrite"), "an input and --output are the same"),
    (("vocabulary.py", "build", "link", "--output", "c.dict", "--overwrite"), "an input and --output are the same"),
    (("vocabulary.py", "build", "counts", "--output", "counts/a.dict", "--overwrite"), "an input and --output"),
    (("vocabulary.py", "export", "v.bin", "--output", "v.bin", "--overwrite"), "an input and --output are the same"),
    (("vocabulary.py", "merge", "v.bin", "w.bin", "--output", "w.bin", "--overwrite"), "an input and --output are"),
    (("vocabulary.py", "convert", "v.bin", "--output", "v.bin", "--overwrite"), "an input and --output are the same"),
    (("vocabulary.py", "shrink", "v.bin", "--output", "pipe", "--overwrite"), "--output 'pipe' is a device or a pipe"),
    (("eval.py", "--ckpt", "m", "--config", "c.dict", "--input", "tokens/train.txt", "--output", "c.dict",
      "--overwrite"), "--config and --output are the same file"),
    (("eval.py", "--ckpt", "m", "--input", "tokens/train.txt", "--output", "pipe", "--overwrite"), "is a device"),
    (("news_crawl.py", "--src_folder", "tokens", "--dict_folder", "counts", "--output_folder", "encoded",
      "--existed_vocab", "encoded/vocabulary.dict.bin"), "--existed_vocab and the new vocabulary are the same file"),
])
def test_scripts_refuse_what_would_be_lost(folder, command, message):
    before = state_of(folder)
    done = run_script(*command, code=2, cwd=folder)
    assert message in done.stderr
    after = state_of(folder)
    after.pop(str(folder / "out"), None)  # an empty folder may have been made
    assert after == before


def test_a_source_reached_through_a_link_is_not_replaced(folder):
    """The output folder is not the source folder, but a source is a link to a file that would be written there."""
    (folder / "out").mkdir()
    (folder / "out" / "x_bpe.txt").write_text("low lower\n")
    (folder / "links").mkdir()
    (folder / "links" / "x.txt").symlink_to("../out/x_bpe.txt")
    done = run_script("apply_bpe_encoding.py", "--codes", "all.codes", "--src_folder", "links", "--output_folder",
                      "out", code=2, cwd=folder)
    assert "a source text and the converted text are the same file" in done.stderr
    assert (folder / "out" / "x_bpe.txt").read_text() == "low lower\n"


def test_whatever_writes_a_file_replaces_no_pipe(folder):
    with pytest.raises(UsageError, match="device or a pipe"), atomic_output(str(folder / "pipe")):
        raise AssertionError("nothing may be computed")
    with pytest.raises(UsageError, match="device or a pipe"), atomic_outputs(str(folder)) as scratch:
        Path(scratch, "a").write_text("a")
        Path(scratch, "pipe").write_text("b")
    assert (folder / "pipe").is_fifo() and not (folder / "a").exists()


def test_links_to_streams_are_devices(tmp_path):
    (tmp_path / "to stdout").symlink_to("/proc/self/fd/1")
    with pytest.raises(UsageError, match="device or a pipe"):
        require_replaceable(str(tmp_path / "to stdout"), "--output")


def test_outputs_of_one_role_are_compared_with_each_other():
    with pytest.raises(UsageError, match="a text and a text are the same file"):
        require_different_files([], [("a text", "x"), ("a text", "./x")])
    require_different_files([("--input", "x"), ("--targets", "x"), ("--vocab", None)], [("--output", "y"), ("o", "")])


def test_repeated_files_are_found_by_links_of_both_kinds(tmp_path):
    paths = [str(tmp_path / name) for name in ("a", "hard", "soft", "b", "missing")]
    for name in "ab":
        (tmp_path / name).touch()
    os.link(paths[0], paths[1])
    os.symlink(paths[0], paths[2])
    assert find_repeated_file(paths[:2]) == (paths[0], paths[1])
    assert find_repeated_file([paths[3], paths[2], paths[0]]) == (paths[2], paths[0])
    assert find_repeated_file([paths[0], paths[3], paths[4], paths[4]]) is None
