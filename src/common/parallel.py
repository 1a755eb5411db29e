"""Mapping a function over items in several processes, with the results in the order of the items."""
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from src.common.errors import MassError, UsageError

MAX_PROCESSES = 1024

Item, Result = TypeVar("Item"), TypeVar("Result")


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
    able to import `function`: it is a module-level function or a `partial` of one. Exceptions raised by `function` in
    a worker are raised here.

    Raises:
        MassError: a worker process died.
    """
    if processes == 1:
        yield from map(function, items)
        return
    executor = ProcessPoolExecutor(processes, initializer=_prepare_worker)
    pending = deque()
    try:
        for item in items:
            pending.append(executor.submit(function, item))
            if len(pending) > 2 * processes:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool as error:
        raise MassError(
            "a worker process died, perhaps because the system ran out of memory; try again with fewer processes"
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)


def _prepare_worker() -> None:
    """Have a worker leave Ctrl-C to its parent and exit when the parent ends for whatever reason."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # not the parent's handler, which would remove the parent's files
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
