"""Scripts whose standard streams are closed, or cannot show every character."""
import shlex
import subprocess

import pytest

from tests.helpers.scripts import SHELL, run_script, script_command


def run_redirected(redirection: str, script: str, *arguments: object, code: int = 0, **options) -> tuple[str, str]:
    """Run a script with a redirection of the shell such as `>&-`, and return what it printed on stdout and stderr."""
    command = f"{shlex.join(script_command(script, *arguments))} {redirection}"
    done = subprocess.run([SHELL, "-c", command], capture_output=True, text=True, timeout=120, **options)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout, done.stderr


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("Müller.txt", "a.txt", "z.txt"):
        (folder / name).write_text("Hello world .\n")
    return tmp_path


def assert_all_tokenized(folder):
    written = sorted(path.name for path in (folder / "out").glob("*.txt"))
    assert written == ["Müller_tokenized.txt", "a_tokenized.txt", "z_tokenized.txt"]
    assert {path.read_text() for path in (folder / "out").glob("*.txt")} == {"Hello world .\n"}


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("redirection", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_not_matter(corpus, redirection, processes):
    out, err = run_redirected(redirection, "tokenize_corpus.py", "--corpus_folder", "in", "--output_folder", "out",
                              "--pool_size", processes, cwd=corpus)
    assert_all_tokenized(corpus)
    assert ("3 lines" in out) == (">&-" not in redirection.replace("2>&-", ""))
    assert err == ""


def test_errors_are_reported_where_they_can_be_seen(corpus):
    arguments = ("tokenize_corpus.py", "--corpus_folder", "nowhere", "--output_folder", "out")
    _, err = run_redirected(">&-", *arguments, code=1, cwd=corpus)
    assert err.startswith("tokenize_corpus.py: error: corpus folder 'nowhere' does not exist")
    assert run_redirected("2>&-", *arguments, code=1, cwd=corpus) == ("", "")
    assert run_redirected("2>&-", "tokenize_corpus.py", "--unknown", code=2, cwd=corpus) == ("", "")


@pytest.mark.parametrize("processes", [1, 2])
def test_what_a_stream_cannot_show_is_escaped(corpus, processes):
    done = run_script("tokenize_corpus.py", "--corpus_folder", "in", "--output_folder", "out", "--pool_size", processes,
                      cwd=corpus, environment={"PYTHONIOENCODING": "ascii"})
    assert_all_tokenized(corpus)
    assert r"in/M\xfcller.txt -> out/M\xfcller_tokenized.txt: 1 lines" in done.stdout


def test_errors_escape_what_stderr_cannot_show(tmp_path):
    done = run_script("tokenize_corpus.py", "--corpus_folder", "Müller", "--output_folder", "out", code=1,
                      cwd=tmp_path, environment={"PYTHONIOENCODING": "ascii:strict"})
    assert r"corpus folder 'M\xfcller' does not exist" in done.stderr


def test_names_that_are_not_utf8_are_escaped(tmp_path):
    done = run_script("tokenize_corpus.py", "--corpus_folder", b"f\xff".decode(errors="surrogateescape"),
                      "--output_folder", "out", code=1, cwd=tmp_path, environment={"PYTHONIOENCODING": "utf-8:strict"})
    assert "does not exist" in done.stderr


def test_predictions_are_not_printed_to_a_closed_stdout(tmp_path):
    (tmp_path / "in.txt").write_text("hello\n")
    _, err = run_redirected(">&-", "eval.py", "--ckpt", "model", "--input", "in.txt", code=2, cwd=tmp_path)
    assert err == "eval.py: error: standard output is closed, where the results are printed: give --output\n"
