"""Starting processes that end with their parent, and describing how they ended."""
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import IO

from src.common.processes import end_with_parent, is_stopped, wait_for

STOPPED_CODES = (128 + signal.SIGTERM, 128 + signal.SIGINT)
"""The exit codes of a program that was asked to stop: 143 and 130."""


def start(arguments: Sequence[str], output: IO[bytes], environment: Mapping[str, str] | None = None,
          end_with: int = signal.SIGTERM, new_session: bool = True) -> subprocess.Popen:
    """Start a process whose standard output and standard error go to `output`.

    Args:
        environment: variables to add to those of this process.
        end_with: the signal that the process receives when this process dies.
        new_session: start a new session, so that Ctrl-C on the terminal is not sent to the process directly; the
            caller forwards it.
    """
    return subprocess.Popen(arguments, env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL,
                            stdout=output, stderr=subprocess.STDOUT, start_new_session=new_session,
                            preexec_fn=lambda: end_with_parent(end_with))


def exit_code(process: subprocess.Popen) -> int:
    """Wait for a process and return its exit code, which is 128 + n if signal n killed it (as in a shell)."""
    code = wait_for(process)
    return code if code >= 0 else 128 - code


def kill_group(pid: int) -> None:
    """Kill the process group of a process; do nothing if it has ended."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(os.getpgid(pid), signal.SIGKILL)


def send_signal(pid: int, signum: int) -> None:
    """Send a signal to a process, even if that is stopped (SIGSTOP, Ctrl-Z); do nothing if it has ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signum)
        os.kill(pid, signal.SIGCONT)


def continue_if_stopped(pid: int) -> None:
    """Have a process go on if it was stopped."""
    if is_stopped(pid):
        send_signal(pid, signal.SIGCONT)


def describe_code(code: int) -> str:
    """Describe an exit code: `ended with exit code 1`, `was killed by signal 9 (SIGKILL)`, `was stopped by ...`."""
    number = code - 128
    if code in STOPPED_CODES:
        return f"was stopped by {signal.Signals(number).name} (exit code {code})"
    if number in signal.valid_signals():
        return f"was killed by signal {number} ({signal.Signals(number).name}; exit code {code})"
    return f"ended with exit code {code}"
