"""How the scripts end when a signal asks them to: within seconds, with a message, and without unfinished files."""
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

END_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
GRACE = 4.0  # seconds from a signal to the end of a process that is busy in compiled code or hangs

unfinished: dict[str, Callable[[], object]] = {}
"""How to remove the unfinished files and the locks of this process, by path, if it ends without unwinding its stack."""

_stopping: int | None = None  # the signal that ends this process
_interrupted = False  # whether Ctrl-C has raised a KeyboardInterrupt


class Stopped(SystemExit):
    """SIGTERM or SIGHUP ends the script; an exception, so that unfinished files are removed."""


def end_on_signals(script: str) -> None:
    """Have SIGTERM and SIGHUP raise `Stopped`, Ctrl-C a KeyboardInterrupt, and each end the process after GRACE.

    Python raises these exceptions between two of its own instructions, which a process that waits in compiled code does
    not reach; therefore a thread reads the numbers of the signals from a pipe. It leaves signals alone for which the
    program has set a handler of its own. A signal that is ignored (as with nohup) stays ignored.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise_stopped)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _raise_interrupt)
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    with signals_held_back():
        threading.Thread(target=_watch, args=(read_end, script), daemon=True).start()


def stopping() -> int | None:
    """Return the signal that ends this process even if Python has lost its exception; None if there is none.

    Python ignores exceptions in some places, such as destructors and the hooks of a fork.
    """
    return _stopping


def interrupted() -> bool:
    """Return whether Ctrl-C was pressed, even if another error has taken the place of the KeyboardInterrupt.

    NumPy, for example, makes a TypeError of one that comes while it compares structured arrays.
    """
    return _interrupted


def message(script: str, number: int) -> str:
    """Return the last line that a script prints when a signal ends it."""
    return f"{script}: {'interrupted' if number == signal.SIGINT else f'stopped by {signal.Signals(number).name}'}"


def remove_unfinished() -> None:
    """Remove what this process has left unfinished, the newest first."""
    while unfinished:
        _, remove = unfinished.popitem()
        with suppress(OSError):
            remove()


@contextmanager
def importing_mindspore() -> Iterator[None]:
    """A context for importing modules that import MindSpore, in which SIGTERM and Ctrl-C end the process at once.

    A signal handler that raises an exception during that import crashes the interpreter. Unfinished files are removed.
    """
    with _handlers(_end_at_once):
        yield


@contextmanager
def waiting_in_mindspore() -> Iterator[None]:
    """A context for calls that may wait in compiled code for other processes, in which signals end this one at once.

    There must be nothing to clean up, because the system ends the process.
    """
    with _handlers(signal.SIG_DFL):
        yield


@contextmanager
def signals_held_back() -> Iterator[None]:
    """A context in which signals wait, for starting processes and threads, which inherit that signals are blocked.

    Blocking alone does not hold back the handlers of Python: another thread may receive the signal.
    """
    waiting: list[int] = []
    try:
        with _handlers(lambda number, _frame: waiting.append(number)):
            blocked = signal.pthread_sigmask(signal.SIG_BLOCK, END_SIGNALS)
            try:
                yield
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    finally:
        if waiting:
            signal.raise_signal(waiting[0])


@contextmanager
def _handlers(handler: object) -> Iterator[None]:
    """A context with another handler of the signals that are not ignored; in threads it changes nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in END_SIGNALS}
    for number, earlier in before.items():
        if earlier is not signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def _raise_stopped(number: int, _frame: FrameType | None) -> None:
    global _stopping
    _stopping = number
    for each in END_SIGNALS:  # further ones would interrupt the removal of unfinished files
        signal.signal(each, signal.SIG_IGN)
    raise Stopped(128 + number)


def _raise_interrupt(_number: int, _frame: FrameType | None) -> None:
    global _interrupted
    _interrupted = True
    raise KeyboardInterrupt


def _end_at_once(number: int, _frame: FrameType | None = None, script: str | None = None) -> None:
    """End the process without unwinding its stack."""
    remove_unfinished()
    with suppress(OSError):
        os.write(2, f"{message(script or os.path.basename(sys.argv[0]), number)}\n".encode(errors="replace"))
    os._exit(128 + number)


def _watch(read_end: int, script: str) -> None:
    """End the process GRACE seconds after a signal that should have ended it."""
    while numbers := os.read(read_end, 64):
        for number in numbers:
            if number in END_SIGNALS and (_stopping is not None or _ends_script(signal.getsignal(number))):
                time.sleep(GRACE)
                _end_at_once(number, script=script)


def _ends_script(handler: object) -> bool:
    return handler in (_raise_stopped, _raise_interrupt, signal.default_int_handler)
