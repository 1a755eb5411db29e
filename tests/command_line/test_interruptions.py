"""Signals to the processes of data preparation: all of them end, with a message, and nothing unfinished is left."""
import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from src.utils.dictionary import Dictionary
from tests.helpers.paths import ROOT
from tests.helpers.scripts import run_python, run_script, start_script

LIMIT = 30  # seconds; 5 are promised, and the machine may be busy
SCRIPTS = {
    "tokenize_corpus.py": ("--corpus_folder", "text", "--pool_size", 2),
    "apply_bpe_encoding.py": ("--src_folder", "text", "--codes", "codes", "--processes", 2),
    "news_crawl.py": ("--src_folder", "text", "--existed_vocab", "v.bin", "--processes", 2),
}


@pytest.fixture
def place(tmp_path) -> Path:
    """A folder with enough text for a few seconds of work, and a temporary folder of its own."""
    for name in ("text", "temporary"):
        (tmp_path / name).mkdir()
    (tmp_path / "codes").write_text("#version: 0.2\nt h\nth e</w>\n")
    Dictionary.from_counts({"the": 300, "cat": 300}).persistence(str(tmp_path / "v.bin"))
    (tmp_path / "text" / "small.txt").write_text("the cat\n")
    (tmp_path / "text" / "large.txt").write_text("the cat sat on the mat , the old cat .\n" * 1_000_000)
    return tmp_path


def start(place: Path, script: str, *more: object) -> subprocess.Popen:
    return start_script(script, *SCRIPTS[script], "--output_folder", "out", "--quiet", *more, cwd=place,
                        stderr=subprocess.STDOUT, start_new_session=True,
                        environment={"TMPDIR": str(place / "temporary")})


def workers_of(process: subprocess.Popen) -> list[psutil.Process]:
    """Wait until the script has its worker processes, and return them."""
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        if len(workers := psutil.Process(process.pid).children()) == 2:
            return workers
        time.sleep(0.002)
    raise AssertionError(f"no workers: {process.communicate()}")


def end(process: subprocess.Popen) -> str:
    """Return what the script printed; all its processes must end in time."""
    try:
        printed, _ = process.communicate(timeout=LIMIT)  # the workers hold the pipe too
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert "Traceback" not in printed and "Fatal" not in printed, printed
    return printed


def unfinished(place: Path) -> list[str]:
    return [str(path) for path in (*place.glob("out/.partial-*"), *place.glob("out/.lock"), *place.glob("temporary/*"))]


@pytest.mark.parametrize(("target", "number", "code", "message"), [
    ("group", signal.SIGTERM, 143, "stopped by SIGTERM"),
    ("group", signal.SIGINT, 130, "interrupted"),
    ("group", signal.SIGHUP, 129, "stopped by SIGHUP"),
    ("main", signal.SIGTERM, 143, "stopped by SIGTERM"),
    ("worker", signal.SIGTERM, 1, "a worker process died"),
    ("worker", signal.SIGKILL, 1, "a worker process died"),
    ("workers", signal.SIGKILL, 1, "a worker process died"),
])
def test_a_signal_ends_all_processes(place, target, number, code, message):
    delays = 0, 0.1, 0.3
    for script, delay in zip(SCRIPTS, delays, strict=True):
        process = start(place, script)
        workers = workers_of(process)
        time.sleep(delay)
        if target == "group":
            os.killpg(process.pid, number)
        else:
            for each in {"main": [process], "worker": workers[:1], "workers": workers}[target]:
                each.send_signal(number)
        printed = end(process)
        assert process.returncode == code, (script, process.returncode, printed)
        assert printed.startswith(f"{script}: {'error: ' * (code == 1)}{message}") and printed.count("\n") == 1, printed
        assert not unfinished(place), script


def test_a_stopped_worker_does_not_hinder_the_end(place):
    process = start(place, "news_crawl.py")
    workers_of(process)[0].send_signal(signal.SIGSTOP)
    process.send_signal(signal.SIGTERM)
    end(process)
    assert process.returncode == 143 and not unfinished(place)


def test_the_workers_end_with_a_killed_script_and_the_next_call_removes_what_it_left(place):
    process = start(place, "news_crawl.py")
    workers_of(process)
    time.sleep(0.2)
    process.kill()
    end(process)
    (place / "text" / "large.txt").unlink()
    run_script("news_crawl.py", *SCRIPTS["news_crawl.py"], "--output_folder", "out", cwd=place)
    assert not unfinished(place)


@pytest.mark.parametrize("delay", [0, 0.2, 0.4])
def test_mindspore_is_being_imported(place, delay):
    """MindSpore is imported when the first MindRecord file is begun, just after the workers have started."""
    (place / "text" / "large.txt").write_text("the cat\n")
    process = start(place, "news_crawl.py", "--format", "mindrecord", "--processes", 1)
    until = time.monotonic() + 60
    while not list(place.glob("out/.partial-*")) and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(delay)
    process.send_signal(signal.SIGTERM)
    printed = end(process)
    assert (process.returncode, printed) == (143, "news_crawl.py: stopped by SIGTERM\n")
    assert not unfinished(place)


def test_a_second_preparation_of_the_same_folder_is_refused(place):
    first = start(place, "news_crawl.py")
    try:
        workers_of(first)
        first.send_signal(signal.SIGSTOP)  # so that it does not finish before the others have started
        for script, arguments in SCRIPTS.items():
            done = run_script(script, *arguments, "--output_folder", "out", cwd=place, code=1)
            assert f"'out' is in use by process {first.pid} (news_crawl.py, since " in done.stderr, done.stderr
    finally:
        first.send_signal(signal.SIGCONT)
        first.terminate()
        end(first)
    assert first.returncode == 143 and not unfinished(place)


PROGRAMS = {
    "compiled code": "import hashlib; print('ready', flush=True); hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)",
    "compiled code that lets no other thread run": """
        import ctypes
        from src.common.interruption import waiting_in_mindspore
        with waiting_in_mindspore():
            print('ready', flush=True)
            ctypes.PyDLL(None).sleep(600)""",
    "a place where Python ignores exceptions": """
        import time
        class Ignoring:
            def __del__(self):
                print('ready', flush=True)
                time.sleep(600)
        Ignoring()
        time.sleep(600)""",
}


@pytest.mark.parametrize("where", PROGRAMS)
def test_a_signal_ends_a_script_wherever_it_is(tmp_path, where):
    program = textwrap.indent(textwrap.dedent(PROGRAMS[where]).strip(), "    ")
    (tmp_path / "script.py").write_text(f"from src.common.errors import run\ndef main():\n{program}\nrun(main)\n")
    process = subprocess.Popen([sys.executable, str(tmp_path / "script.py")], stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        _, printed = process.communicate(timeout=LIMIT)
    finally:
        process.kill()
    by_the_system = "no other thread" in where  # which prints nothing
    assert process.returncode == (-signal.SIGTERM if by_the_system else 143)
    assert by_the_system or printed.endswith("script.py: stopped by SIGTERM\n"), printed


ANOTHER_ERROR = """
import os, signal
from src.common.errors import run
def main():
    try:
        os.kill(os.getpid(), signal.{name})
        raise SystemExit("the signal has raised nothing")
    except {caught}:
        raise TypeError("as numpy does") from None
run(main)
"""


@pytest.mark.parametrize(("name", "caught", "code", "printed"), [
    ("SIGINT", "KeyboardInterrupt", 130, "interrupted"), ("SIGTERM", "BaseException", 143, "stopped by SIGTERM"),
    ("SIGHUP", "BaseException", 129, "stopped by SIGHUP")])
def test_a_signal_that_a_library_turns_into_another_error_ends_the_script_all_the_same(name, caught, code, printed):
    done = run_python(ANOTHER_ERROR.format(name=name, caught=caught), code=code)
    assert done.stderr == f"-c: {printed}\n"
