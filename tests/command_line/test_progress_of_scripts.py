"""Each script of data preparation shows a progress bar on a terminal, and none with --quiet."""
import os
import pty
import termios
from pathlib import Path

import pytest

from src.utils.dictionary import Dictionary
from tests.helpers.scripts import run_script

END = b"\a(end)"
PAIR = ("text/train.src.txt", "text/train.tgt.txt")
SCRIPTS = [
    ("tokenize_corpus.py", "--corpus_folder", "text"),
    ("apply_bpe_encoding.py", "--src_folder", "text", "--codes", "codes"),
    ("news_crawl.py", "--src_folder", "text", "--existed_vocab", "v.bin"),
    ("gigaword.py", "--train_src", PAIR[0], "--train_ref", PAIR[1], "--test_src", PAIR[0], "--test_ref", PAIR[1],
     "--existed_vocab", "v.bin"),
    ("cornell_dialog.py", "--src_folder", "text", "--existed_vocab", "v.bin", "--valid_prefix", "", "--test_prefix",
     ""),
]


@pytest.fixture
def place(tmp_path) -> Path:
    """A folder with text, codes and a vocabulary."""
    (tmp_path / "text").mkdir()
    for name in PAIR:
        (tmp_path / name).write_text("low er\n" * 20)
    (tmp_path / "codes").write_text("#version: 0.2\nl o\nlo w</w>\n")
    Dictionary.from_counts({"low": 300, "er": 300}).persistence(str(tmp_path / "v.bin"))
    return tmp_path


def shown_on_terminal(place: Path, script: str, *arguments: str) -> str:
    """Run a script with a terminal as stderr, and return what it writes there."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))  # wide enough for a progress bar
    try:
        done = run_script(script, *arguments, "--output_folder", "out", cwd=place, stderr=theirs, code=None)
        os.write(theirs, END)  # marks the end, because reading more would block
        shown = b""
        while not shown.endswith(END):
            shown += os.read(ours, 1 << 16)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 0, (done.stdout, shown)
    return shown.removesuffix(END).decode()


@pytest.mark.parametrize(("script", "arguments"), [(name, arguments) for name, *arguments in SCRIPTS])
def test_progress_is_shown_unless_quiet(script, arguments, place):
    assert "B/s" in shown_on_terminal(place, script, *arguments)
    assert shown_on_terminal(place, script, *arguments, "--overwrite", "--quiet") == ""
