"""Mapping a function over items in several processes, with the results in the order of the items.

Each worker process has a pipe of its own, and in this process a thread that feeds it. A worker that dies, at whatever
moment, closes its pipe, so that its thread notices it even in the middle of a result. The main thread waits on one
queue, whose operations a signal handler may interrupt, and ends the workers with SIGKILL: they own no files.
"""
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from queue import SimpleQueue
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

from src.common.errors import MassError, UsageError
from src.common.interruption import END_SIGNALS, signals_held_back
from src.common.processes import end_with_parent, exit_without_parent

MAX_PROCESSES = 1024

Item, Result = TypeVar("Item"), TypeVar("Result")

_OWN_SIGNAL_WAIT = 0.5
"""Seconds in which a signal that ended a worker may arrive here too: it was sent to the whole process group, and then
this process ends as the signal asks for."""
_JOIN_TIMEOUT = 3.0  # seconds; a process that was killed may be stuck in the system, and then is not waited for


def available_cores() -> int:
    """Return the number of cores that this process may use, which containers can limit."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def require_processes(count: int, flag: str) -> None:
    """Raise a UsageError unless `count`, the value of `flag`, is from 1 to MAX_PROCESSES."""
    if count < 1:
        raise UsageError(f"{flag} {count}: give 1 process or more")
    if count > MAX_PROCESSES:
        raise UsageError(f"{flag} {count}: give {MAX_PROCESSES} processes or fewer")


def map_in_order(function: Callable[[Item], Result], items: Iterable[Item], processes: int) -> Iterator[Result]:
    """Yield `function(item)` for each item in order, computed by `processes` processes.

    Only a few items are in flight at a time, so memory stays bounded even if the consumer is slow. Workers must be
    able to import `function`: it is a module-level function or a `partial` of one. They receive it once, so it may hold
    large objects. Exceptions raised by `function` in a worker are raised here. The workers end when the iterator is
    closed, and with this process, however it ends.

    Raises:
        MassError: a worker process died.
    """
    if processes == 1:
        yield from map(function, items)
        return
    with _Pool(function, processes) as pool:
        for item in items:
            pool.submit(item)
            if pool.pending > 2 * processes:
                yield pool.next_result()
        while pool.pending:
            yield pool.next_result()


class _Outcome(NamedTuple):
    """What became of an item in a worker."""

    number: int  # of the item
    value: Any  # the result or the exception
    failed: bool


class _Pool:
    """Worker processes that apply a function to the items submitted; results are returned in the same order."""

    def __init__(self, function: Callable, processes: int):
        self.pending = 0  # items whose results have not been returned
        self._function, self._count = function, processes
        self._processes: list[multiprocessing.Process] = []
        self._connections: list[Connection] = []
        self._tasks: SimpleQueue = SimpleQueue()  # (number, item)
        self._outcomes: SimpleQueue = SimpleQueue()  # _Outcome, or None if a worker died
        self._worker_died = False
        self._submitted = 0
        self._early: dict[int, _Outcome] = {}  # outcomes that came before those of earlier items

    def __enter__(self) -> "_Pool":
        return self

    def __exit__(self, _type: type | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        for process in self._processes:
            process.kill()
        deadline = time.monotonic() + _JOIN_TIMEOUT
        for process in self._processes:
            process.join(max(0.0, deadline - time.monotonic()))
        for _ in self._connections:
            self._tasks.put(None)  # ends a thread that waits for a task

    def submit(self, item: Any) -> None:
        if not self._processes:
            self._start()
        self._tasks.put((self._submitted, item))
        self._submitted += 1
        self.pending += 1

    def next_result(self) -> Any:
        """Wait for the result of the next item; raise the exception that it ended with."""
        number = self._submitted - self.pending
        while number not in self._early or self._worker_died:
            if (outcome := self._outcomes.get()) is None:
                time.sleep(_OWN_SIGNAL_WAIT)
                raise MassError("a worker process died, perhaps because the system ran out of memory; try again with "
                                "fewer processes")
            self._early[outcome.number] = outcome
        self.pending -= 1
        outcome = self._early.pop(number)
        if outcome.failed:
            raise outcome.value
        return outcome.value

    def _start(self) -> None:
        """Start the workers while signals are held back, so that none meets a worker with this process's handlers."""
        context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        ignored = [number for number in END_SIGNALS if signal.getsignal(number) is signal.SIG_IGN]
        with signals_held_back():
            for _ in range(self._count):
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(self._function, theirs, os.getpid(), ignored),
                                          daemon=True)
                process.start()
                theirs.close()  # the worker's end is open in the worker alone: its death closes the pipe
                self._processes.append(process)
                self._connections.append(ours)
            for connection in self._connections:  # after the last fork
                threading.Thread(target=self._feed, args=(connection,), daemon=True).start()

    def _feed(self, connection: Connection) -> None:
        """Send tasks to one worker and collect its outcomes, until it dies or there are no more tasks."""
        while (task := self._tasks.get()) is not None:
            number, item = task
            try:
                message = pickle.dumps(item, pickle.HIGHEST_PROTOCOL)
            except Exception as error:
                self._outcomes.put(_Outcome(number, error, failed=True))
                continue
            try:
                connection.send_bytes(message)
                answer = connection.recv_bytes()
            except (EOFError, OSError):
                self._worker_died = True
                self._outcomes.put(None)
                return
            try:
                failed, value = pickle.loads(answer)
            except Exception as error:
                failed, value = True, error
            self._outcomes.put(_Outcome(number, value, failed))


def _work(function: Callable[[Item], Result], connection: Connection, parent: int, ignored: list[int]) -> None:
    """The life of a worker. It is started with signals held back."""
    for number in END_SIGNALS:  # not the parent's handlers, which would remove the parent's files
        signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, END_SIGNALS)
    end_with_parent(signal.SIGKILL)
    exit_without_parent(parent)
    while True:
        try:
            item = pickle.loads(connection.recv_bytes())
            answer = False, function(item)
        except EOFError:
            os._exit(0)
        except Exception as error:
            answer = True, _noted(error)
        try:
            message = pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            message = pickle.dumps((True, RuntimeError(f"{answer[1]!r} cannot be sent to another process: {error}")))
        connection.send_bytes(message)


def _noted(error: Exception) -> Exception:
    """Add the traceback to an exception that is no message for users; it is lost between processes."""
    if not isinstance(error, (MassError, OSError)):
        error.add_note("".join(traceback.format_exception(error)))
    return error
