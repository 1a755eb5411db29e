"""tokenize_corpus.py: outputs, tokenizers, and errors."""
from pathlib import Path

import pytest

from tests.helpers.scripts import run_script
from tests.helpers.text_folder import TOKENIZED, list_names, make_text_folder, tokenize_command, without_packages


@pytest.fixture
def folder(tmp_path) -> Path:
    return make_text_folder(tmp_path)


def test_each_line_becomes_one_line(folder):
    (folder / "more").mkdir()
    (folder / "more" / "extra.txt").write_bytes("\ufeffone\u2028two\r\nthree".encode())
    printed = run_script(*tokenize_command(corpus="raw,more"), cwd=folder).stdout
    assert list_names(folder / "out") == ["extra_tokenized.txt", "test_tokenized.txt", "train_tokenized.txt"]
    assert (folder / "out" / "train_tokenized.txt").read_text(encoding="utf-8").split("\n") == [*TOKENIZED * 5, ""]
    assert (folder / "out" / "extra_tokenized.txt").read_bytes() == b"one two\nthree\n"
    assert "train_tokenized.txt: 20 lines, 110 tokens" in printed
    assert "all files -> out: 42 lines, 223 tokens" in printed


def test_processes_is_an_alias_of_pool_size(folder):
    """The output of one process is that of several."""
    run_script(*tokenize_command(), cwd=folder)
    command = ["tokenize_corpus.py", "--corpus_folder", "raw", "--output_folder", "one", "--processes"]
    assert "--processes" in run_script(*command, cwd=folder, code=2).stderr
    assert "all files -> one: 40 lines" in run_script(*command, 1, "--quiet", cwd=folder).stdout
    for name in list_names(folder / "out"):
        assert (folder / "one" / name).read_bytes() == (folder / "out" / name).read_bytes()


def test_jieba(folder):
    (folder / "raw" / "train.txt").write_text("他来到北京。\n", encoding="utf-8")
    run_script(*tokenize_command("--tokenizer", "jieba"), cwd=folder)
    assert (folder / "out" / "train_tokenized.txt").read_text(encoding="utf-8") == "他 来到 北京 。\n"


def test_jieba_replaces_a_missing_nltk_with_a_message(folder):
    result = run_script(*tokenize_command(), cwd=folder, environment=without_packages(folder, "nltk"))
    assert "nltk cannot be imported" in result.stderr and "using jieba" in result.stderr
    assert list_names(folder / "out") == ["test_tokenized.txt", "train_tokenized.txt"]


def test_an_error_without_any_tokenizer(folder):
    done = run_script(*tokenize_command(), cwd=folder, code=1, environment=without_packages(folder, "nltk", "jieba"))
    assert "pip install nltk jieba" in done.stderr
    assert list_names(folder / "out") == []


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        ([], 2, "--corpus_folder"),
        (["--corpus_folder", "raw"], 2, "--output_folder"),
        (["--corpus_folder", "raw", "--output_folder", "out", "--tokenizer", "spacy"], 2, "'nltk', 'jieba'"),
        (["--corpus_folder", "raw,,raw2", "--output_folder", "out"], 2, "an item of the list is empty"),
        (["--corpus_folder", "raw", "--output_folder", "out", "--pool_size", "0"], 2, "--pool_size 0"),
        (["--corpus_folder", "raw", "--output_folder", "out", "--pool_size", "two"], 2, "--pool_size"),
        (["--corpus_folder", "raw", "--output_folder", "out", "--processes", "two"], 2, "--processes"),
        (["--corpus_folder", ",", "--output_folder", "out"], 2, "no source folder"),
        (["--corpus_folder", "nowhere", "--output_folder", "out"], 1, "'nowhere' does not exist"),
        (["--corpus_folder", "codes", "--output_folder", "out"], 1, "'codes' is a file"),
        (["--corpus_folder", "raw,empty", "--output_folder", "out"], 1, "'empty' holds no file named *.txt"),
        (["--corpus_folder", "bytes", "--output_folder", "out"], 1, "bytes/latin.txt, line 2: not UTF-8"),
        (["--corpus_folder", "hollow", "--output_folder", "out"], 1, "no text"),
        (["--corpus_folder", "blank", "--output_folder", "out"], 1, "no token"),
        (["--corpus_folder", "raw,raw", "--output_folder", "out"], 2, "raw/test.txt"),
        (["--corpus_folder", "raw", "--output_folder", "./raw/"], 2, "output folder"),
        (["--corpus_folder", "raw", "--output_folder", "codes"], 2, "'codes' is a file"),
        (["--corpus_folder", "raw", "--output_folder", "codes/out"], 1, "cannot be created"),
    ],
)
def test_invalid_input(folder, arguments, code, message):
    for name, content in (("bytes/latin.txt", b"fine\ncaf\xe9\n"), ("hollow/a.txt", b""), ("blank/a.txt", b" \n\n")):
        (folder / name).parent.mkdir()
        (folder / name).write_bytes(content)
    (folder / "empty").mkdir()
    before = list_names(folder / "raw")
    assert message in run_script("tokenize_corpus.py", *arguments, cwd=folder, code=code).stderr
    assert list_names(folder / "raw") == before
    assert list_names(folder / "out") == (["a_tokenized.txt"] if "blank" in arguments else [])
