"""eval.py as a user runs it on raw text: files, streams, conversations, and the errors it reports."""
import json
import os
import signal
import subprocess
import time

import pytest

from tests.helpers.compiler import require_compiler
from tests.helpers.scripts import TIMEOUT, run_script, script_command, start_script
from tests.helpers.tiny_model import TEXT, make_model_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a model in `my model/` and some text."""
    folder = tmp_path_factory.mktemp("predictions")
    (folder / "my model").mkdir()
    make_model_folder(folder / "my model", ("latest.safetensors",))
    (folder / "in.txt").write_text("\n".join([TEXT[0], "", *TEXT[1:], "the cat " * 60]) + "\n")
    return folder


def start_eval(folder, *arguments, preloaded=False):
    return start_script("eval.py", *arguments, cwd=folder, preloaded=preloaded, bufsize=1, stdin=subprocess.PIPE,
                        stderr=subprocess.PIPE)


@pytest.fixture(scope="module")
def predicted(folder):
    """The lines of the output file for in.txt, and the messages on stderr."""
    done = run_script("eval.py", "--ckpt", "my model", "--input", "in.txt", "--output", "out.txt", cwd=folder)
    assert not done.stdout
    return (folder / "out.txt").read_text().split("\n"), done.stderr


def test_a_folder_and_a_file_are_enough(predicted):
    lines, messages = predicted
    assert len(lines) == 7 and lines[-1] == lines[1] == "" and all(lines[i] for i in (0, 2, 3, 4, 5))
    assert "1 of 6 lines" in messages and "in.txt, line 6" in messages and "latest.safetensors" in messages


def test_the_number_format_of_the_search_can_be_chosen(folder):
    require_compiler()
    arguments = ("eval.py", "--ckpt", "my model", "--input", "in.txt", "--compute_type", "int8")
    done = run_script(*arguments, cwd=folder)
    assert "search in int8" in done.stderr and len(done.stdout.split("\n")) == 7
    refused = run_script(*arguments, "--set", "training_config.native_kernels=off", code=2, cwd=folder)
    assert "decode_compute_type is int8: only the C kernels of the CPU have a number format" in refused.stderr
    refused = run_script(*arguments, "--targets", "in.txt", "--score", code=2, cwd=folder)
    assert "--score does not search" in refused.stderr


def test_predictions_for_a_stream_are_printed_while_it_is_open(folder, predicted):
    process = start_eval(folder, "--ckpt", "my model", "--input", "-", "--format", "json", "--n_best", 2,
                         preloaded=True)
    try:
        process.stdin.write(f"{TEXT[0]}\n\n")
        process.stdin.flush()
        first, second = (json.loads(process.stdout.readline()) for _ in range(2))  # the input is still open
        assert first["source"] == TEXT[0] and second == {"source": "", "predictions": []}
        best, next_best = first["predictions"]
        assert best["text"] == predicted[0][0] and best["score"] > next_best["score"] > best["log_prob"] - 100
        rest, messages = process.communicate(TEXT[1], timeout=TIMEOUT)  # without a line end
        assert json.loads(rest)["predictions"][0]["text"] == predicted[0][2]
        assert process.returncode == 0 and "Traceback" not in messages
    finally:
        process.kill()


def test_a_conversation_ends_with_ctrl_c_or_ctrl_d(folder, predicted):
    # Not preloaded: the signal must arrive before the end of the input.
    process = start_eval(folder, "--ckpt", "my model", "--interactive", "--turns", 2)
    try:
        process.stdin.write(f"{TEXT[0]}\n")
        process.stdin.flush()
        score, _, text = process.stdout.readline().strip().partition("  ")
        assert text == predicted[0][0] and float(score) < 0
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 130 and "Traceback" not in messages and messages.endswith("eval.py: interrupted\n")
    finally:
        process.kill()
    done = run_script("eval.py", "--ckpt", "my model", "--interactive", input="", cwd=folder)
    assert not done.stdout


def test_a_bad_line_of_a_pipe_costs_no_other(folder, predicted):
    """In a locale that reads UTF-8 strictly; and a carriage return is no part of a word."""
    command = script_command("eval.py", "--ckpt", "my model", "--interactive")
    lines = [TEXT[0].encode() + b"\r", b"caf\xe9", TEXT[0].encode()]
    done = subprocess.run(command, input=b"\n".join(lines) + b"\n", capture_output=True, cwd=folder, timeout=TIMEOUT,
                          env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"})
    replies = [line.strip().partition("  ")[2] for line in done.stdout.decode().splitlines()]
    assert replies == [predicted[0][0]] * 2, done.stderr
    assert done.stderr.count(b"not valid UTF-8") == 1 and done.returncode == 0


def test_given_targets_are_scored(folder):
    (folder / "targets.txt").write_text("\n".join(TEXT) + "\n")
    done = run_script("eval.py", "--ckpt", "my model", "--input", "targets.txt", "--targets", "targets.txt", "--score",
                      cwd=folder)
    scores = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(scores) == len(TEXT)
    assert all(float(log_prob) < 0 and int(tokens) > len(line.split())
               for (log_prob, tokens), line in zip(scores, TEXT, strict=True))


def test_text_of_another_language_causes_a_warning(folder):
    done = run_script("eval.py", "--ckpt", "my model", "--input", "-", cwd=folder,
                      input="\u732b\u5750\u5728\u57ab\u5b50\u4e0a\n")
    assert len(done.stdout.splitlines()) == 1
    assert "% of the tokens are <unk> to this model" in done.stderr


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks for MindSpore's libraries in /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_import_of_mindspore_ends_the_program_quietly(folder, number):
    process = start_eval(folder, "--ckpt", "my model", "--input", "-")  # not preloaded: MindSpore is to be imported
    try:
        while "mindspore" not in read_text(f"/proc/{process.pid}/maps"):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        _, messages = process.communicate(timeout=TIMEOUT)
        assert process.returncode in (-number, 128 + number) and "Fatal" not in messages
    finally:
        process.kill()


def read_text(path):
    with open(path) as stream:
        return stream.read()


@pytest.mark.parametrize(("arguments", "code", "parts"), [
    (["--input", "in.txt"], 2, ["--ckpt", "--config"]),
    (["--ckpt", "my model"], 2, ["--output is missing"]),
    (["--ckpt", "my model", "--output", "o.jsonl"], 2, ["test_dataset is empty", "--input"]),
    (["--ckpt", "my model", "--input", "in.txt", "--interactive"], 2, ["choose one"]),
    (["--ckpt", "my model", "--targets", "in.txt", "--output", "o.jsonl"], 2, ["--targets needs --input"]),
    (["--ckpt", "my model", "--input", "in.txt", "--score"], 2, ["--score needs targets"]),
    (["--ckpt", "my model", "--input", "in.txt", "--n_best", "2"], 2, ["--format json"]),
    (["--ckpt", "my model", "--input", "in.txt", "--turns", "2"], 2, ["--interactive"]),
    (["--ckpt", "my model", "--interactive", "--n_best", "9"], 2, ["n_best is 9", "beam_width"]),
    (["--ckpt", "my model", "--interactive", "--set", "model_config.beam_width=999"], 2, ["beam_width is 999"]),
    (["--ckpt", "my model", "--input", "in.txt", "--output", "in.txt"], 2, ["same file", "in.txt"]),
    (["--ckpt", "my model", "--input", "in.txt", "--output", "latin.txt"], 2, ["latin.txt", "exists", "--overwrite"]),
    (["--ckpt", "my model", "--input", "in.txt", "--strict"], 1, ["in.txt, line 6", "seq_length"]),
    (["--ckpt", "my model", "--input", "latin.txt"], 1, ["latin.txt, line 2", "not UTF-8"]),
    (["--ckpt", "my model", "--input", "empty.txt"], 1, ["empty.txt", "is empty"]),
    (["--ckpt", "my model", "--input", "none.txt"], 1, ["none.txt", "does not exist"]),
    (["--ckpt", "my model", "--input", "in.txt", "--codes", "none"], 1, ["BPE codes", "none"]),
    (["--ckpt", "my model", "--input", "in.txt", "--metric", "ppl"], 2, ["--metric", "--targets"]),
    (["--ckpt", "my model", "--input", "in.txt", "--targets", "in.txt", "--score", "--output", "in.txt", "--overwrite"],
     2, ["--input and --output are the same file"]),
    (["--ckpt", "my model", "--input", "in.txt", "--targets", "in.txt", "--output", "a.html", "--report", "a.html"],
     2, ["--output and --report are the same file"]),
    (["--ckpt", "my model", "--output", "o.jsonl", "--lower_case"], 2, ["--lower_case", "raw text"]),
    (["--ckpt", "my model", "--output", "o.jsonl", "--no-brackets_to_names"], 2, ["--brackets_to_names", "raw text"]),
    (["--ckpt", "my model", "--output", "o.jsonl", "--strict"], 2, ["--strict", "raw text"]),
    (["--ckpt", ".", "--input", "in.txt"], 1, ["neither best.safetensors nor latest.safetensors"]),
])
def test_errors_change_nothing(folder, arguments, code, parts):
    (folder / "latin.txt").write_bytes(b"fine\ncaf\xe9\n")
    (folder / "empty.txt").write_bytes(b"")
    before = sorted(os.listdir(folder))
    done = run_script("eval.py", *arguments, cwd=folder, code=code)
    assert not done.stdout
    for part in ["eval.py: error: ", *parts]:
        assert part in done.stderr
    assert sorted(os.listdir(folder)) == before


# -- long files ------------------------------------------------------------------------------------------------------

LONG = 2500  # lines, more than two windows


@pytest.fixture(scope="module")
def long_text(folder):
    """A file of several windows with empty lines, and the predictions of an undisturbed run for it."""
    lines = [("" if number % 100 == 50 else f"{TEXT[number % len(TEXT)]} {number % 7}") for number in range(LONG)]
    (folder / "long.txt").write_text("\n".join(lines) + "\n")
    done = run_script(*LONG_JOB, "whole.txt", cwd=folder)
    assert f"{LONG:,} predictions are in whole.txt; " in done.stderr and "25 for lines without words" in done.stderr
    return (folder / "whole.txt").read_bytes()


LONG_JOB = ("eval.py", "--ckpt", "my model", "--input", "long.txt", "--output")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_file_is_continued(folder, long_text, number):
    """The second call repeats nothing that is finished, and the output is that of an undisturbed run."""
    job = (*LONG_JOB, f"out{number}.txt")
    process = start_script(*job, cwd=folder, preloaded=True, stderr=subprocess.PIPE)
    note = folder / f"out{number}.txt.part" / "job.json"
    deadline = time.monotonic() + TIMEOUT
    while not note.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(number)
    _, messages = process.communicate(timeout=TIMEOUT)
    assert process.returncode == (128 + number if number != signal.SIGKILL else -number), messages
    assert number == signal.SIGKILL or "the same command continues after them" in messages
    assert not (folder / f"out{number}.txt").exists()
    finished = json.loads(note.read_text())["lines"]
    assert 0 < finished < LONG

    done = run_script(*job, cwd=folder)
    assert f"continuing after line {finished:,} of {LONG:,}" in done.stderr
    assert "25 for lines without words" in done.stderr, "the counts of both calls together"
    assert (folder / f"out{number}.txt").read_bytes() == long_text
    assert not (folder / f"out{number}.txt.part").exists()


def test_another_job_does_not_continue_an_unfinished_one(folder, long_text):
    job = (*LONG_JOB, "changed.txt")
    process = start_script(*job, cwd=folder, preloaded=True, stderr=subprocess.PIPE)
    deadline = time.monotonic() + TIMEOUT
    while not (folder / "changed.txt.part" / "job.json").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.communicate(timeout=TIMEOUT)
    settings = ("--set", "model_config.beam_width=1")
    done = run_script(*job, *settings, cwd=folder, code=2)
    assert "lines of another job (different: model_config)" in done.stderr
    run_script(*job, *settings, "--overwrite", cwd=folder)
    assert len((folder / "changed.txt").read_text().splitlines()) == LONG


def test_an_input_that_changes_during_the_search_is_an_error(folder, long_text):
    """What was checked at the start must be what is searched."""
    (folder / "changing.txt").write_bytes((folder / "long.txt").read_bytes())
    process = start_script("eval.py", "--ckpt", "my model", "--input", "changing.txt", "--output", "mixed.txt",
                           cwd=folder, preloaded=True, stderr=subprocess.PIPE)
    deadline = time.monotonic() + TIMEOUT
    while not (folder / "mixed.txt.part" / "job.json").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    (folder / "changing.txt").write_text("the cat\n")
    _, messages = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 1 and "'changing.txt' has changed since the job began" in messages
    assert not (folder / "mixed.txt").exists()


def test_files_of_an_unfinished_output_are_no_inputs(folder, long_text):
    (folder / "some.txt.part").mkdir()
    (folder / "some.txt.part" / "lines").write_text("the cat\n")
    done = run_script("eval.py", "--ckpt", "my model", "--input", "some.txt.part/lines", "--output", "some.txt",
                      cwd=folder, code=2)
    assert "same file" in done.stderr and (folder / "some.txt.part" / "lines").read_text() == "the cat\n"


def test_a_bad_line_at_the_end_of_a_long_file_is_found_first(folder, long_text):
    text = (folder / "long.txt").read_bytes()
    (folder / "bad.txt").write_bytes(text + b"\xff\n")
    (folder / "wide.txt").write_bytes(text + b"the cat " * 60 + b"\n")
    for name, flags, message in (("bad.txt", (), f"bad.txt, line {LONG + 1}: not UTF-8"),
                                 ("wide.txt", ("--strict",), f"wide.txt, line {LONG + 1}: ")):
        done = run_script("eval.py", "--ckpt", "my model", "--input", name, "--output", "none.txt", *flags, cwd=folder,
                          code=1)
        assert message in done.stderr and "search" not in done.stderr
        assert not (folder / "none.txt").exists() and not (folder / "none.txt.part").exists()
