"""Fork a process for each script that a client asks for: python -m tests.helpers.preloaded.server FOLDER.

The server ends when its standard input does. It kills a script whose client has ended, and tells the other clients how
their scripts have ended. It computes nothing, so that its copies are like new processes.
"""
import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import tempfile
import threading
import traceback
from typing import NamedTuple

import src  # noqa: F401  (before MindSpore, which reads its settings)
from tests.helpers.preloaded.client import MODULES, STREAMS

OWN = ("benchmarks", "config", "recipes", "src", "tests")
"""The packages of the repository, which each script imports anew: it may be in a copy of the repository."""


class Script(NamedTuple):
    """A running script: its process, a descriptor that becomes readable when the process ends, and its client."""

    process: int
    end: int
    client: socket.socket


def main(folder: str) -> None:
    """Serve clients; in each forked process, run the script that its client asks for, and end."""
    for module in MODULES:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # the copies do not look through these objects again
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{folder}/socket")
    listener.listen()
    if os.fork():
        os._exit(0)  # the server is no child of its tests, some of which count theirs
    client = _serve(listener)
    if client is not None:
        code = _run(**_take_over(client, folder))
        threading._shutdown()  # as at the end of Python, but without clearing all modules, which takes half a second
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def _serve(listener: socket.socket) -> socket.socket | None:
    """Return None at the end of standard input, and in each forked process the client that it serves."""
    running: dict[int, Script] = {}  # by the descriptors that belong to it
    events = select.poll()
    events.register(0)
    events.register(listener, select.POLLIN)
    while True:
        descriptor, _ = events.poll()[0]  # only one, because the next may be of a script that this one ends
        if descriptor == 0:
            return None
        if descriptor == listener.fileno():
            client, _ = listener.accept()
            process = os.fork()
            if process == 0:
                listener.close()
                for script in set(running.values()):
                    os.close(script.end)
                    script.client.close()
                return client
            script = Script(process, os.pidfd_open(process), client)
            with contextlib.suppress(BrokenPipeError):
                client.sendall(process.to_bytes(4, "little", signed=True))
            running[script.end] = running[client.fileno()] = script
            events.register(script.end, select.POLLIN)
            events.register(client, 0)  # reports that the client has ended
        else:
            script = running[descriptor]
            if descriptor != script.end:
                os.kill(script.process, signal.SIGKILL)
            for number in (script.end, script.client.fileno()):
                del running[number]
                events.unregister(number)
            _finish(script)


def _finish(script: Script) -> None:
    """Tell the client the exit code of its script; it is negative if a signal ended the script."""
    code = os.waitstatus_to_exitcode(os.waitpid(script.process, 0)[1])
    os.close(script.end)
    with contextlib.suppress(BrokenPipeError):
        script.client.sendall(code.to_bytes(4, "little", signed=True))
    script.client.close()


def _take_over(client: socket.socket, folder: str) -> dict:
    """Take the streams, the folder and the environment of the client, and return the arguments of `_run`."""
    size, streams, _, _ = socket.recv_fds(client, 8, len(STREAMS))
    with client.makefile("rb") as stream:
        request = json.loads(stream.read(int.from_bytes(size, "little")))
    client.close()
    for stream, descriptor in zip(streams, STREAMS, strict=True):
        os.dup2(stream, descriptor)
        os.close(stream)
    os.chdir(request["folder"])
    os.environ.clear()
    os.unsetenv("OMP_NUM_THREADS")  # MindSpore has set it, and os.environ does not know
    os.environ.update(request["environment"])
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 (until the process ends)
    by_lines = 1 if os.isatty(1) or os.environ.get("PYTHONUNBUFFERED") else -1
    sys.stdout = open(1, "w", buffering=by_lines, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    for name in [name for name in sys.modules if name.partition(".")[0] in OWN]:
        del sys.modules[name]
    sys.executable = f"{folder}/python"  # the script starts others in the same way
    tempfile.tempdir = None
    return {name: request[name] for name in ("program", "safe_path")}


def _run(program: list[str], safe_path: bool) -> int:
    """Run a script, or a module after -m, with its arguments, and return its exit code.

    With `safe_path` (-P), its folder is not searched for modules.
    """
    is_module = program[0] == "-m"
    sys.argv = program[is_module:]
    own = os.getcwd() if is_module else os.path.dirname(os.path.abspath(program[0]))
    given = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    sys.path[:1] = [*([] if safe_path else [own]), *given]
    try:
        if is_module:
            runpy.run_module(program[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(program[0], run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    main(sys.argv[1])
