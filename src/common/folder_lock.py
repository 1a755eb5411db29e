"""Locks of folders: one process at a time writes into a run folder or an output folder of data preparation.

A lock is the file `.lock` in the folder. Its process holds an advisory lock of the system on it (flock), which ends
with the process, so that a dead process never blocks. The file says who holds it. Where a file system (some network
file systems) has no such locks, this record alone decides: a process that is certainly dead does not block.
"""
import errno
import fcntl
import json
import os
import re
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from src.common.errors import MassError
from src.common.files import make_output_folder
from src.common.interruption import unfinished
from src.common.processes import ProcessIdentity, host_name

LOCK_FILE = ".lock"
_PATIENCE = 20, 0.05  # attempts and seconds between them, while a lock file changes hands
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_NO_LOCKS_WAIT = 0.3  # seconds
_SHOWN = re.compile(r"[\w.:+-]{1,64}( [\w.:+-]{1,64})?", re.ASCII)  # what messages quote of a record


@dataclass
class _Held:
    path: str  # of the folder, absolute
    folder: int  # its open descriptor
    file: int  # that of the lock file
    users: int = 1


_held: dict[str, _Held] = {}  # by the real path of the folder


@contextmanager
def locked_folder(folder: str) -> Iterator[None]:
    """A context in which this process alone writes into `folder`, which is created unless it exists.

    A process may lock a folder that it has locked already. A folder that was created here and is empty at the end is
    removed, so that a refused command leaves nothing.

    Raises:
        MassError: another process holds the folder; the message names it. Or the lock file is a link or no file.
        UsageError: `folder` is a file.
    """
    created = _missing_folders(folder)
    make_output_folder(folder)
    real = os.path.realpath(folder)
    try:
        if real in _held:
            _held[real].users += 1
        else:
            _held[real] = _take(folder)
            unfinished[f"lock of {real}"] = partial(_release, _held[real])
        try:
            yield
        finally:
            _held[real].users -= 1
            if not _held[real].users:
                unfinished.pop(f"lock of {real}", None)
                _release(_held.pop(real))
    finally:
        for path in created:
            with suppress(OSError):  # it holds something
                os.rmdir(path)


def require_in_place(folder: str, what: str = "run folder",
                     advice: str = "put it back and continue with --resume, or start a new run") -> None:
    """Raise a MassError if `folder`, which this process holds, was deleted, renamed or replaced meanwhile.

    Args:
        what: the role of the folder, for the message.
        advice: what to do, for the message.
    """
    for held in _held.values():
        if held.path == os.path.abspath(folder) and not _is_in_place(held):
            raise MassError(f"the {what} {folder!r} was deleted, renamed or replaced while the run wrote into it: "
                            f"{advice}")


def open_own_file(path: str, flags: int = os.O_RDWR | os.O_CREAT, dir_fd: int | None = None) -> int:
    """Open a file of the program's own that processes communicate through, and return its descriptor.

    Whoever may write into a folder could otherwise have another file overwritten through it.

    Raises:
        MassError: `path` is a link, has further names (hard links), or is no file.
        FileNotFoundError: it does not exist, and `flags` do not create it.
    """
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666, dir_fd=dir_fd)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise MassError(f"{path!r} is a link or no regular file; remove it") from error
        raise
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode) or state.st_nlink > 1:
        os.close(descriptor)
        raise MassError(f"{path!r} is a link or no regular file; remove it")
    return descriptor


def _take(folder: str) -> _Held:
    attempts, pause = _PATIENCE
    holder = None
    for _ in range(attempts):
        make_output_folder(folder)  # a process that had made it may just have removed it
        held = _Held(os.path.abspath(folder), os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), -1)
        try:
            held.file = open_own_file(LOCK_FILE, dir_fd=held.folder)
            locked = lock_file(held.file)
            if locked is not False and not _is_in_place(held):
                locked = False  # the former holder has removed the file
            holder = _read_owner(held.file)
            if locked or (locked is None and (not holder.process or holder.process.is_certainly_dead())):
                _write_owner(held.file)
                if locked is None:  # without locks, the record of the last of two that come at once decides
                    time.sleep(_NO_LOCKS_WAIT)
                    holder = _read_owner(held.file)
                if locked or holder.process == ProcessIdentity.own():
                    return held
        except BaseException:
            _close(held)
            raise
        _close(held)
        if holder.process and not holder.process.is_certainly_dead():
            break
        time.sleep(pause)  # it is about to write its record, or its worker processes are about to end
    raise MassError(f"{folder!r} is in use by {holder or 'another process'}: wait until that has ended, stop it, or "
                    f"choose another folder")


def lock_file(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool | None:
    """Lock an open file; return False if another process has, and None if the file system has no locks."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return None
        raise


def _release(held: _Held) -> None:
    if held.file >= 0 and _names_lock_file(held):  # the folder may have been renamed, so not by its path
        with suppress(OSError):
            os.remove(LOCK_FILE, dir_fd=held.folder)
    _close(held)
    held.file = held.folder = -1


def _close(held: _Held) -> None:
    for descriptor in (held.file, held.folder):
        if descriptor >= 0:
            os.close(descriptor)


def _is_in_place(held: _Held) -> bool:
    """Return whether the lock file is still that of the folder's path."""
    try:
        return os.path.samestat(os.stat(os.path.join(held.path, LOCK_FILE)), os.fstat(held.file))
    except OSError:
        return False


def _names_lock_file(held: _Held) -> bool:
    try:
        return os.path.samestat(os.stat(LOCK_FILE, dir_fd=held.folder), os.fstat(held.file))
    except OSError:
        return False


@dataclass(frozen=True)
class _Owner:
    """The record in a lock file; what is missing or unreadable is None."""

    process: ProcessIdentity | None = None
    host: str | None = None
    program: str | None = None
    since: str | None = None

    def __str__(self) -> str:
        if not self.process:
            return "another process"
        more = ", ".join(filter(None, (self.program, self.since and f"since {self.since}")))
        here = "" if self.process.is_on_this_machine() else f" on {self.host or 'another machine'}"
        return f"process {self.process.pid}{here}{f' ({more})' if more else ''}"


def _write_owner(descriptor: int) -> None:
    record = {"process": str(ProcessIdentity.own()), "host": host_name(),
              "program": os.path.basename(sys.argv[0]) or "python", "since": time.strftime("%Y-%m-%d %H:%M:%S")}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{json.dumps(record)}\n".encode(), 0)


def _read_owner(descriptor: int) -> _Owner:
    try:
        record = json.loads(os.pread(descriptor, 4096, 0))
        shown = {key: record[key] if _SHOWN.fullmatch(record[key]) else None for key in ("host", "program", "since")}
        return _Owner(ProcessIdentity.parse(record["process"]), **shown)
    except (ValueError, TypeError, KeyError, RecursionError):
        return _Owner()


def _missing_folders(folder: str) -> list[str]:
    """Return the folders that must be created for `folder`, the innermost first."""
    missing, path = [], os.path.abspath(folder)
    while not os.path.lexists(path):
        missing.append(path)
        path = os.path.dirname(path)
    return missing
