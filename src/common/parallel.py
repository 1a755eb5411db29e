"""Work for several processes, whose results come in the order of the work."""
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

Item, Result = TypeVar("Item"), TypeVar("Result")


def available_cores() -> int:
    """The number of cores this process may use, which containers limit."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def require_processes(count: int, flag: str) -> None:
    """Raise UsageError unless `count`, given as `flag`, is a number of processes."""
    if count < 1:
        raise UsageError(f"{flag} {count}: give 1 process or more")


def map_in_order(function: Callable[[Item], Result], items: Iterable[Item], processes: int) -> Iterator[Result]:
    """Yield `function(item)` for each item in their order, computed by `processes` processes.

    Only a few items are on their way at a time, so neither items nor results pile up, however slow their
    consumer is. `function` must be importable by a worker: a function of a module, or a `partial` of one.

    Raises:
        MassError: a worker process died. What `function` raises in a worker is raised here.
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
            "a worker process died: perhaps the system ran out of memory; try again with fewer processes"
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)


def _prepare_worker() -> None:
    """Leave Ctrl-C to the parent, and end with it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # not the parent's handler, which would clean up the parent's files
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
