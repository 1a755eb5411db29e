"""Measuring the time of a command and the memory of its processes (on Linux, as it reads /proc)."""
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
    """The time and memory of one run of a command."""

    seconds: float
    cpu_seconds: float  # of all processes; shows whether a slow run is due to a busy machine
    largest_mib: float  # peak resident memory of the largest process, measured by the kernel
    total_mib: float  # peak of the summed resident memory of all processes, sampled; shared pages count repeatedly
    output: str


def measure(command: Sequence[str], cores: int | None = None) -> Measurement:
    """Run a command to its end, on `cores` cores if that is given.

    The calling process must be small, because the kernel counts its memory as that of the child until the child has
    started its program.

    Raises:
        SystemExit: the command failed; the message includes its output.
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
    """Samples the resident memory of a process and all its descendants; `peak` is in KiB."""

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
    for parent in found:  # the list grows during the loop
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
