"""Processes: which one wrote something and whether it is certainly dead, and ending together with the parent."""
import ctypes
import os
import platform
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_AWAKE_SECONDS = 0.5
_UNKNOWN = "0"
_TEXT = re.compile(r"([0-9a-f]{32}|0)-([0-9]{1,20})-([0-9]{1,20})-([0-9]{1,20})", re.ASCII)


@dataclass(frozen=True)
class ProcessIdentity:
    """A process, so that no other one can be taken for it; its text form, without spaces, can be part of a file name.

    A process id alone says little: it is used again, differs between containers (PID namespaces), and machines may
    share a name. The boot id is a random number that the system draws when it starts, so no two machines share it.
    """

    boot: str  # 32 hexadecimal digits
    namespace: str  # the number of the PID namespace, in which `pid` holds
    pid: int
    started: str  # clock ticks since the system started

    @classmethod
    def own(cls) -> "ProcessIdentity":
        """Return the identity of this process; what the system does not tell (other than Linux) is "0"."""
        return cls(*_machine(), os.getpid(), (_state_and_start(os.getpid()) or ("", _UNKNOWN))[1])

    @classmethod
    def parse(cls, text: str) -> "ProcessIdentity | None":
        """Return the identity with this text form, or None if it is none."""
        match = _TEXT.fullmatch(text)
        return cls(match[1], match[2], int(match[3]), match[4]) if match else None

    def __str__(self) -> str:
        return f"{self.boot}-{self.namespace}-{self.pid}-{self.started}"

    def is_on_this_machine(self) -> bool:
        """Return whether the process id holds here: this system, since it started, in this PID namespace."""
        return (self.boot, self.namespace) == _machine() and _UNKNOWN not in (self.boot, self.namespace, self.started)

    def is_certainly_dead(self) -> bool:
        """Return whether the process has ended for certain; False if this cannot be known from here."""
        if not self.is_on_this_machine() or self.pid < 1:
            return False
        try:
            os.kill(self.pid, 0)  # signal 0 only checks whether the process exists
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):
            pass  # it exists and is of another user; or it is no process id
        found = _state_and_start(self.pid)
        return found is not None and (found[0] in "ZX" or found[1] != self.started)


def is_stopped(pid: int) -> bool:
    """Return whether a process was stopped by SIGSTOP or the like, so that it does nothing until SIGCONT."""
    found = _state_and_start(pid)
    return found is not None and found[0] == "T"


def wait_for(process: subprocess.Popen) -> int:
    """Wait for a process and return its return code, with signal handlers of this process run in time.

    A signal that arrives just before a blocking system call does not interrupt it, and Python would run the handler
    only when the process has ended; therefore the wait is interrupted twice a second.
    """
    while True:
        try:
            return process.wait(_AWAKE_SECONDS)
        except subprocess.TimeoutExpired:
            continue


def host_name() -> str:
    """Return the name of this machine, for messages."""
    return platform.node() or "this machine"


def end_with_parent(signum: int) -> None:
    """Have the system send `signum` to this process when its parent dies for whatever reason (on Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signum)


def exit_without_parent(parent: int) -> None:
    """Have a thread end this process when `parent` is no longer its parent, on every system."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _machine() -> tuple[str, str]:
    """Return the boot id and the number of the PID namespace."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            boot = stream.read().strip().replace("-", "")
        namespace = re.fullmatch(r"pid:\[([0-9]+)\]", os.readlink("/proc/self/ns/pid"))
    except (OSError, ValueError):
        return _UNKNOWN, _UNKNOWN
    return (boot, namespace[1]) if namespace and re.fullmatch("[0-9a-f]{32}", boot) else (_UNKNOWN, _UNKNOWN)


def _state_and_start(pid: int) -> tuple[str, str] | None:
    """Return the state of a process and the time of its start; None if the system does not tell."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            fields = stream.read().rpartition(b")")[2].split()  # the name before it may hold spaces and parentheses
        return fields[0].decode(), fields[19].decode()  # fields 3 and 22 of proc(5)
    except (OSError, IndexError, ValueError):
        return None
