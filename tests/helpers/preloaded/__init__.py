"""A Python for the tests whose processes have already imported MindSpore, PyTorch and Matplotlib.

These imports take longer than most of what the tests let a script do. `server.py` imports them once for each process
of the tests, and forks a process for each script. `client.py` is what runs in place of Python: it gives the server its
arguments, standard streams, folder and environment, and ends as the script does. Where a forked process would differ
from a new one, as with other variables that Python reads when it starts, the client becomes a usual Python instead.
"""
import atexit
import functools
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.helpers.paths import ROOT
from tests.helpers.preloaded.client import circumstances

_FOLDER = Path(__file__).resolve().parent


@functools.cache
def preloaded_python() -> str:
    """Return the path of a program that takes Python's place, and start its server.

    The server ends with this process, which keeps the other end of its standard input open.
    """
    folder = Path(tempfile.mkdtemp(prefix="preloaded-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "usual.json").write_text(json.dumps([sys.executable, circumstances()]))
    program = folder / "python"
    words = shlex.join(map(str, (sys.executable, "-S", "-E", _FOLDER / "client.py", folder)))
    program.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    program.chmod(0o755)
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "tests.helpers.preloaded.server", folder]
    with open(reader, "rb") as stream:
        environment = dict(os.environ)  # without what MindSpore has set in this process
        subprocess.run(command, cwd=ROOT, env=environment, stdin=stream, stdout=subprocess.DEVNULL, check=True)
    atexit.register(os.close, writer)
    return str(program)


def search_path() -> str:
    """Return the PATH of a shell in which `python` is this Python; then come the programs beside the usual one."""
    return os.pathsep.join([*map(os.path.dirname, (preloaded_python(), sys.executable)), os.environ["PATH"]])
