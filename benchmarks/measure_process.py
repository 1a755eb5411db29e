"""How long a command takes and how much memory its processes need (Linux: it reads /proc)."""
import os
import subprocess
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

_SAMPLE_SECONDS = 0.05


class Measurement(NamedTuple):
    """What one run of a command took."""

    seconds: float
    cpu_seconds: float  # of all processes; beside `seconds` it tells a slow command from a busy machine
    largest_mib: float  # peak resident memory of the process that needed most, as the kernel counts it
    total_mib: float  # highest sum of the resident memory of all processes at a time, sampled; shared pages count twice
    output: str


def measure(command: Sequence[str], cores: int | None = None) -> Measurement:
    """Run a command to its end, on that many cores if given.

    The process that calls this must be small itself: the kernel counts the memory of a parent as that of its child
    until the child has begun its own program.

    Raises:
        SystemExit: the command failed; what it printed is shown.
    """
    chosen = sorted(os.sched_getaffinity(0))[:cores]
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               preexec_fn=partial(os.sched_setaffinity, 0, chosen))
    sampler = _Sampler(process.pid)
    sampler.start()
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)  # counts the descendants that the process has waited for
    seconds = time.monotonic() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    sampler.stop()
    if process.returncode:
        raise SystemExit(f"failed with exit code {process.returncode}: {' '.join(command)}\n{output}")
    largest = usage.ru_maxrss / 1024
    return Measurement(seconds, usage.ru_utime + usage.ru_stime, largest, max(sampler.peak / 1024, largest), output)


class _Sampler(threading.Thread):
    """Watches the resident memory of a process and all its descendants; `peak` in KiB."""

    def __init__(self, pid: int):
        super().__init__(daemon=True)
        self._pid, self._stopped = pid, threading.Event()
        self.peak = 0

    def run(self) -> None:
        while not self._stopped.wait(_SAMPLE_SECONDS):
            self.peak = max(self.peak, sum(map(_resident, _tree(self._pid))))

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def _tree(pid: int) -> list[int]:
    found = [pid]
    for parent in found:  # grows while it is read
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            found.extend(map(int, _read(children).split()))
    return found


def _resident(pid: int) -> int:
    pages = _read(Path(f"/proc/{pid}/statm")).split()
    return int(pages[1]) * os.sysconf("SC_PAGE_SIZE") // 1024 if pages else 0


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process has ended
        return ""
