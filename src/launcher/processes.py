"""Starting processes that do not outlive the one that watches them, and telling how they ended."""
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import IO

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

STOPPED_CODES = (128 + signal.SIGTERM, 128 + signal.SIGINT)
"""How train.py ends when it was asked to stop: 143 and 130."""


def end_with_parent(signum: int) -> None:
    """Have the system send `signum` to this process when its parent dies in whatever way (on Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signum)


def start(arguments: Sequence[str], output: IO[bytes], environment: Mapping[str, str] | None = None,
          end_with: int = signal.SIGTERM, new_session: bool = True) -> subprocess.Popen:
    """Start a process with both outputs going to `output`; it gets the signal `end_with` when this process dies.

    In a session of its own it does not hear the terminal's Ctrl-C, which the caller passes on instead.
    """
    return subprocess.Popen(arguments, env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL,
                            stdout=output, stderr=subprocess.STDOUT, start_new_session=new_session,
                            preexec_fn=lambda: end_with_parent(end_with))


def exit_code(process: subprocess.Popen) -> int:
    """Wait for a process; its exit code as a shell counts: 128 + the signal's number if a signal killed it."""
    code = process.wait()
    return code if code >= 0 else 128 - code


def kill_group(pid: int) -> None:
    """Kill a process and what it has started in its group; nothing if it has gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(os.getpgid(pid), signal.SIGKILL)


def send_signal(pid: int, signum: int) -> None:
    """Send a signal to a process; nothing if it has gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signum)


def describe_code(code: int) -> str:
    """`ended with exit code 1`, `was killed by signal 9 (SIGKILL)`, or `stopped, as it was asked to`."""
    number = code - 128
    if code in STOPPED_CODES:
        return f"stopped, as it was asked to by {signal.Signals(number).name} (exit code {code})"
    if number in signal.valid_signals():
        return f"was killed by signal {number} ({signal.Signals(number).name}; exit code {code})"
    return f"ended with exit code {code}"
