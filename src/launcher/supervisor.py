"""Running the processes of a plan: showing their log, forwarding signals, and ending the run if one of them fails."""
import math
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from typing import NamedTuple

from src.common.written_files import errors_name
from src.launcher.log_follower import LogFollower, last_lines, size
from src.launcher.plan import Command, Plan
from src.launcher.processes import (
    STOPPED_CODES,
    continue_if_stopped,
    describe_code,
    exit_code,
    kill_group,
    send_signal,
    start,
)
from src.launcher.run_files import SCHEDULER, Ending, RankFiles

_POLL_SECONDS = 0.1
# Seconds that the remaining processes get before they are killed:
_FAILED_GRACE = 12  # after a process has failed: to report errors of their own, or to save
_STOPPED_GRACE = 120  # after a rank was stopped: for the others to save and end
_DONE_GRACE = 2  # after all ranks have ended: for msrun, which takes some seconds to notice
_ELSEWHERE_GRACE = 120  # the same if the scheduler may still be needed by ranks on other machines
_LAST_LINES = 20


class RunResult(NamedTuple):
    """The result of a run."""

    code: int  # the exit code
    message: str  # for the user; may be empty


def supervise(plan: Plan, shown: bool) -> RunResult:
    """Run the processes of a plan to their end.

    Each SIGTERM and SIGINT that this process receives is forwarded to every rank (SIGHUP as SIGTERM). When a rank has
    failed, the others are killed after a few seconds.

    Args:
        shown: copy the log to standard output.
    """
    files = RankFiles(plan.ranks_folder)
    if plan.ranks:
        files.clear(plan.ranks)
    log_starts = {rank: size(files.log(rank)) for rank in plan.ranks}
    follower = LogFollower(files.log(plan.ranks[0]) if plan.ranks else plan.log, plan.log, shown)
    with _Signals() as signals:
        processes = [_start(command) for command in plan.commands]
        watch = _RankWatch(plan, files, log_starts, processes) if plan.ranks else None
        while watch.is_running() if watch else processes[0].poll() is None:
            signals.forward(watch.receivers() if watch else {0: partial(send_signal, processes[0].pid)})
            follower.copy()
            time.sleep(_POLL_SECONDS)
    follower.copy()
    if watch:
        return watch.result(plan.commands[0].log)
    code = exit_code(processes[0])
    program = os.path.basename(plan.commands[0].arguments[1])
    return RunResult(code, f"{program} {describe_code(code)}; the log is {plan.log}" if code else "")


def _start(command: Command) -> subprocess.Popen:
    os.makedirs(os.path.dirname(command.log), exist_ok=True)
    with errors_name(command.log), open(command.log, "ab") as output:
        now = f"{datetime.now():%Y-%m-%d %H:%M:%S}"
        output.write(f"== {now} in {os.getcwd()}: {command.as_shell()}\n".encode(errors="surrogateescape"))
        output.flush()
        return start(command.arguments, output, command.environment)


class _Signals(AbstractContextManager):
    """Collects the signals that ask the run to stop, and forwards each of them once to each receiver."""

    def __init__(self) -> None:
        self._received: list[int] = []
        self._sent: dict[int, int] = {}
        self._handlers_before: dict[int, object] = {}

    def __enter__(self) -> "_Signals":
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(signum) != signal.SIG_IGN:  # nohup, for example, ignores SIGHUP
                self._handlers_before[signum] = signal.signal(signum, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._handlers_before.items():
            signal.signal(signum, handler)

    def _receive(self, signum: int, _frame: object) -> None:
        self._received.append(signal.SIGINT if signum == signal.SIGINT else signal.SIGTERM)

    def forward(self, receivers: Mapping[int, Callable[[int], None]]) -> None:
        """Send each receiver the signals that it has not received yet; a rank may start after a signal has come."""
        for name, send in receivers.items():
            for signum in self._received[self._sent.get(name, 0):]:
                send(signum)
            self._sent[name] = len(self._received)


class _RankWatch:
    """Watches the ranks of this machine and the processes (msrun or rank wrappers) that start them."""

    def __init__(self, plan: Plan, files: RankFiles, log_starts: Mapping[int, int], processes: list[subprocess.Popen]):
        self._ranks, self._files, self._log_starts, self._processes = plan.ranks, files, log_starts, processes
        self._all_ranks_are_local = len(plan.ranks) == plan.world_size
        self._endings: dict[int, Ending] = {}  # in the order in which they were noticed
        self._deadline = math.inf

    def is_running(self) -> bool:
        """Check all processes, and kill them if their time has run out; return False when all have ended."""
        # In the order in which things can no longer happen: a process that has ended has written all of its files, and
        # a wrapper that has started, and is dead, has recorded the ending. Each is read once.
        running = [process for process in self._processes if process.poll() is None]
        started = self._wrappers_started()
        wrappers = self._alive(started)
        for pid in wrappers.values():
            continue_if_stopped(pid)  # it would neither forward a signal nor record the ending, and the run would stand
        now = time.time()
        for rank in self._ranks:
            ending = self._files.ending(rank)
            if ending is None and rank in started and rank not in wrappers:
                ending = Ending(rank, 128 + signal.SIGKILL, now)  # killed together with its wrapper, as msrun does
            if ending is not None and rank not in self._endings:
                self._endings[rank] = ending
        if not running and not wrappers:
            return False
        self._deadline = min(self._deadline, time.monotonic() + self._grace())
        if time.monotonic() > self._deadline:
            for pid in [*wrappers.values(), *(process.pid for process in running)]:
                kill_group(pid)
        return True

    def receivers(self) -> dict[int, Callable[[int], None]]:
        """Return a function that sends a signal, for each rank that can receive one now."""
        return {rank: partial(send_signal, pid) for rank, pid in self._alive(self._wrappers_started()).items()
                if rank not in self._endings}

    def result(self, starter_log: str) -> RunResult:
        """Return the result after all processes have ended; `starter_log` holds the output of msrun."""
        failed = sorted(self._failed(), key=lambda ending: ending.time)
        scheduler = self._failed_scheduler()
        if scheduler and (not failed or scheduler.time < failed[0].time):
            log = self._files.scheduler_log()
            return RunResult(1, f"the scheduler, which connects the ranks, {describe_code(scheduler.code)}: a rank on "
                                f"this or another machine does not respond\nThe last lines of {log}:\n"
                                f"{last_lines(log, _LAST_LINES)}")
        if failed:
            first = failed[0]
            log = self._files.log(first.rank)
            lines = last_lines(log, _LAST_LINES, self._log_starts[first.rank])
            others = [f"; then rank {other.rank} {describe_code(other.code)}" for other in failed[1:]
                      if other.code != 128 + signal.SIGKILL]
            return RunResult(first.code, f"rank {first.rank} {describe_code(first.code)}, which ended the run"
                                         f"{''.join(others)}\nThe last lines of {log}:\n{lines}")
        codes = [self._endings[rank].code for rank in self._ranks if rank in self._endings]
        if len(codes) == len(self._ranks) and not any(codes):
            return RunResult(0, "")
        if codes and any(codes):
            return RunResult(max(codes), f"train.py {describe_code(max(codes))} on {len(codes)} ranks")
        return RunResult(1, f"the ranks could not be started\nThe last lines of {starter_log}:\n"
                            f"{last_lines(starter_log, _LAST_LINES)}")

    def _grace(self) -> float:
        """Return the number of seconds that the run may still take in its present state."""
        if len(self._endings) == len(self._ranks):
            return _DONE_GRACE if self._all_ranks_are_local else _ELSEWHERE_GRACE
        if self._failed() or self._failed_scheduler() or any(p.poll() for p in self._processes):
            return _FAILED_GRACE
        return _STOPPED_GRACE if any(ending.code for ending in self._endings.values()) else math.inf

    def _failed(self) -> list[Ending]:
        return [ending for ending in self._endings.values() if ending.code not in (0, *STOPPED_CODES)]

    def _failed_scheduler(self) -> Ending | None:
        ending = self._files.ending(SCHEDULER)
        return ending if ending and ending.code else None

    def _wrappers_started(self) -> dict[int, int]:
        """Return the process id of the wrapper of each rank that has one; it may have ended."""
        pids = {rank: self._files.wrapper(rank) for rank in self._ranks}
        return {rank: pid for rank, pid in pids.items() if pid is not None}

    def _alive(self, pids: Mapping[int, int]) -> dict[int, int]:
        return {rank: pid for rank, pid in pids.items() if self._files.is_wrapper_alive(pid)}
