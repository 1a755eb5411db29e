"""Run the scripts of the repository as a user does: each in a process of its own, from any folder.

run_script and output_of use the Python of tests/helpers/preloaded, which starts faster, except in copies of the
repository, which other programs can replace. start_script, whose processes some tests look at, does so if asked to.
"""
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.helpers.paths import ROOT
from tests.helpers.preloaded import preloaded_python

SHELL = shutil.which("dash") or "sh"  # dash accepts plain POSIX sh only
TIMEOUT = 600  # seconds; generous, because the machine may be busy

Environment = dict[str, str | None]  # None removes a variable


def script_command(script: str, *arguments: object, root: Path = ROOT, python: str = sys.executable) -> list[str]:
    """Return the command that runs a script with Python or with sh; `script` is its path in the folder `root`."""
    return [SHELL if script.endswith(".sh") else python, str(root / script), *map(str, arguments)]


def run_script(script: str, *arguments: object, code: int | None = 0, root: Path = ROOT,
               environment: Environment | None = None, **options) -> subprocess.CompletedProcess[str]:
    """Run a script to its end and return its exit code, standard output and standard error.

    The test fails if the exit code is not `code` or if a Python traceback was printed; with None, neither is checked.
    `environment` holds the variables that differ from those of the tests; `options` are those of subprocess.run, above
    all `cwd` and `input`.
    """
    python = preloaded_python() if root == ROOT else sys.executable
    command = script_command(script, *arguments, root=root, python=python)
    return _run(command, code, {"PYTHON": python, **(environment or {})}, options)


def output_of(script: str, *arguments: object, **options) -> str:
    """Run a script as run_script does and return its standard output and standard error as one text."""
    return run_script(script, *arguments, stderr=subprocess.STDOUT, **options).stdout


def run_python(program: str, *arguments: object, code: int | None = 0, environment: Environment | None = None,
               **options) -> subprocess.CompletedProcess[str]:
    """Run the text of a program, which can import the modules of the repository; otherwise as run_script does."""
    variables = {"PYTHONPATH": str(ROOT), **(environment or {})}
    return _run([sys.executable, "-c", program, *map(str, arguments)], code, variables, options)


def start_script(script: str, *arguments: object, root: Path = ROOT, environment: Environment | None = None,
                 preloaded: bool = False, **options) -> subprocess.Popen[str]:
    """Start a script and return its process; `options` are those of Popen, and standard output is a pipe by default.

    With `preloaded`, the process is the client of the one that runs the script; its number and its children are not
    those of the script. It passes on SIGINT, SIGTERM and SIGHUP, which arrive a little later, and if it is killed, the
    server kills the script.
    """
    options = {"stdout": subprocess.PIPE, **options}
    command = script_command(script, *arguments, root=root, python=preloaded_python() if preloaded else sys.executable)
    return subprocess.Popen(command, text=True, env=_environment(environment), **options)


def _run(command: list[str], code: int | None, environment: Environment | None,
         options: dict) -> subprocess.CompletedProcess[str]:
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": TIMEOUT, **options}
    done = subprocess.run(command, text=True, env=_environment(environment), **options)
    if code is not None:
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert not any("Traceback" in (text or "") for text in (done.stdout, done.stderr)), (done.stdout, done.stderr)
    return done


def _environment(changes: Environment | None) -> dict[str, str]:
    variables = {**os.environ, "PYTHON": sys.executable, **(changes or {})}
    return {name: value for name, value in variables.items() if value is not None}
