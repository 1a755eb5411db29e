"""The Python of the tests whose processes are forked from one that has imported MindSpore."""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests import conftest
from tests.helpers.preloaded import client, preloaded_python

SCRIPT = """
import os, signal, sys
from pathlib import Path
print(Path.cwd().name, os.environ["NAME"], sys.argv[1:], sys.stdin.read(), "mindspore" in sys.modules)
print("an error", file=sys.stderr)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit(sys.argv[1] if sys.argv[1] == "a message" else int(sys.argv[1]))
"""

THREADS = """
import ctypes
import mindspore
print(ctypes.CDLL("libgomp.so.1").omp_get_max_threads())
"""


def run(folder, *arguments, **environment):
    (folder / "script.py").write_text(SCRIPT)
    return subprocess.run([preloaded_python(), "script.py", *arguments], cwd=folder, input="in", text=True,
                          capture_output=True, env={**os.environ, "NAME": "value", **environment})


@pytest.mark.parametrize(("argument", "code"), [("0", 0), ("3", 3), ("a message", 1)])
def test_a_script_has_what_its_caller_gives_it_and_ends_with_its_code(tmp_path, argument, code):
    done = run(tmp_path, argument, "more words")
    assert done.stdout == f"{tmp_path.name} value ['{argument}', 'more words'] in True\n"
    assert done.stderr == "an error\n" + "a message\n" * (argument == "a message")
    assert done.returncode == code


def test_a_signal_that_ends_the_script_ends_the_caller_too(tmp_path):
    assert run(tmp_path, "killed").returncode == -signal.SIGKILL


def test_a_server_that_ends_before_the_script_is_an_error():
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        shutil.copy(Path(preloaded_python()).parent / "usual.json", folder)
        listener.bind(f"{folder}/socket")
        listener.listen()
        listener.settimeout(60)
        command = [sys.executable, "-S", "-E", client.__file__, folder, "script.py"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            listener.accept()[0].close()
            assert "has ended before the script" in process.stderr.read()
    assert process.returncode == 1


def test_a_script_runs_on_as_many_threads_as_with_a_usual_python(tmp_path):
    """The rounding of products depends on their number."""
    (tmp_path / "script.py").write_text(THREADS)
    pythons = [sys.executable, preloaded_python()]
    os.putenv("OMP_NUM_THREADS", "1")  # as MindSpore does, without the knowledge of os.environ
    pythons.append(preloaded_python.__wrapped__())  # whose server starts now
    conftest.pytest_runtest_setup()
    shown = [subprocess.run([python, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
             for python in pythons]
    assert len(set(shown)) == 1, shown
    if not any(name.startswith("OMP_") and name != "OMP_WAIT_POLICY" for name in os.environ):
        assert int(shown[0]) == len(os.sched_getaffinity(0))


def test_an_error_is_shown_as_python_does(tmp_path):
    done = run(tmp_path, "no number")
    assert done.returncode == 1 and "Traceback (most recent call last)" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("ValueError: invalid literal for int()")


@pytest.mark.parametrize(("name", "value"), [("LC_ALL", "C"), ("OMP_NUM_THREADS", "1"), ("PYTHONHASHSEED", "1")])
def test_variables_that_are_read_at_the_start_need_a_new_process(tmp_path, name, value):
    assert run(tmp_path, "0", **{name: value}).stdout.endswith("in False\n")


def test_a_module_in_place_of_an_imported_one_needs_a_new_process(tmp_path):
    assert run(tmp_path, "0", PYTHONPATH=str(tmp_path)).stdout.endswith("in True\n")
    (tmp_path / "nltk.py").write_text("")
    assert run(tmp_path, "0", PYTHONPATH=str(tmp_path)).stdout.endswith("in False\n")


def test_limits_and_ignored_signals_need_a_new_process(tmp_path):
    (tmp_path / "script.py").write_text("import sys; print('mindspore' in sys.modules)")
    for begin in ("trap '' HUP", "ulimit -f 1000", "exec 3</dev/null"):
        command = ["sh", "-c", f'{begin}; exec "$@"', "sh", preloaded_python(), "script.py"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.stdout == "False\n", begin


def test_modules_and_programs_can_be_run(tmp_path):
    (tmp_path / "module.py").write_text("import sys; print(sys.argv[1:], __name__)")
    for options in ["-m"], ["-P", "-m"]:  # with -P, only PYTHONPATH leads to the module
        done = subprocess.run([preloaded_python(), *options, "module", "word"], cwd=tmp_path, capture_output=True,
                              text=True, env={**os.environ, "PYTHONPATH": str(tmp_path)})
        assert done.stdout == "['word'] __main__\n", done.stderr
    program = [preloaded_python(), "-c", "import sys; print(sys.executable)"]
    assert subprocess.run(program, capture_output=True, text=True).stdout == f"{sys.executable}\n"
