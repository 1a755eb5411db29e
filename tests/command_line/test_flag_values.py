"""Values of flags that no program can use are refused by every entry script, and nothing of this folder is run."""
import re

import pytest

from src.common.arguments import CommandLineParser, whole_number
from tests.helpers.paths import ROOT
from tests.helpers.scripts import run_script

SCRIPTS = sorted(path.name for path in ROOT.glob("*.py") if "CommandLineParser(" in path.read_text())


def test_all_scripts_use_the_parser():
    for path in ROOT.glob("*.py"):
        assert "ArgumentParser(" not in path.read_text(), f"{path.name}: use CommandLineParser"
    assert {"news_crawl.py", "gigaword.py", "train.py", "weights_average.py", "tokenize_corpus.py"} <= set(SCRIPTS)


@pytest.mark.parametrize("kind, text, fits", [
    (None, "a", True), (None, "", False), (None, "a\0b", False), (str, "", True),
    (int, "12", True), (int, "-3", True), (int, "", False), (int, "9" * 20, False), (int, "1e3", False),
    (int, "\u0663", False),  # a digit, but not an ASCII one
    (float, "0.5", True), (float, "nan", False), (float, "inf", False), (float, "", False),
    (whole_number(1, 8), "8", True), (whole_number(1, 8), "9", False), (whole_number(1, 8), "0", False),
])
def test_values(kind, text, fits, capsys):
    parser = CommandLineParser()
    parser.add_argument_group("a group").add_argument("--flag", **({"type": kind} if kind else {}))
    if fits:
        assert parser.parse_args(["--flag", text]).flag == (kind or str)(text)
        return
    with pytest.raises(SystemExit) as stopped:
        parser.parse_args([f"--flag={text}"])
    assert stopped.value.code == 2
    assert re.search("argument --flag: .*(empty|NUL|not allowed|not a number)", capsys.readouterr().err)


@pytest.mark.parametrize("script, flags", [
    ("gigaword.py", ("--train_src", "--max_len")), ("eval.py", ("--vocab", "--n_best")),
    ("tokenize_corpus.py", ("--output_folder", "--processes")), ("scripts/run_cpu.sh", ("--config", "--nodes"))])
def test_scripts_refuse_empty_values_and_huge_numbers(script, flags):
    text, number = flags
    assert re.search(f"{text}: the value is empty", run_script(script, text, "", code=2).stderr)
    assert re.search(f"{number}: '9+' is not allowed", run_script(script, number, "9" * 20, code=2).stderr)


def test_a_number_of_processes_has_a_limit(tmp_path):
    refused = run_script("news_crawl.py", "--src_folder", tmp_path, "--existed_vocab", tmp_path / "v",
                         "--output_folder", tmp_path / "out", "--processes", 5000, code=2)
    assert "--processes 5000: give 1024 processes or fewer" in refused.stderr


def test_python_files_of_the_current_folder_are_not_run(tmp_path):
    for name in ("numpy", "tqdm", "argparse", "src"):
        (tmp_path / f"{name}.py").write_text("open('it_ran', 'w')\n")
    run_script("scripts/learn_subword.sh", "--help", cwd=tmp_path)
    run_script("scripts/run_cpu.sh", "--help", cwd=tmp_path)
    assert not (tmp_path / "it_ran").exists()


def test_a_broken_link_is_not_a_smaller_corpus(tmp_path):
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text("a b\n")
    (tmp_path / "text" / "b.txt").symlink_to(tmp_path / "none.txt")
    refused = run_script("tokenize_corpus.py", "--corpus_folder", tmp_path / "text", "--output_folder",
                         tmp_path / "out", code=1)
    assert "'b.txt' is not a file that can be read" in refused.stderr
