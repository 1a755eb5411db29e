"""The files through which the launcher of a run, its ranks and stop_training.sh communicate."""
import fcntl
import glob
import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, NamedTuple

from src.common.files import atomic_output
from src.common.folder_lock import lock_file, open_own_file
from src.common.written_files import errors_name

PROGRAM = "launch.py"  # occurs in the command lines of launchers and rank wrappers
SCHEDULER = "scheduler"  # used instead of a rank number in file names
_EXPECTED, _ENDED = "expected", "ended"  # kinds of empty files, see `RankFiles.clear`


class Ending(NamedTuple):
    """The end of the program of a rank."""

    rank: int | str
    code: int  # the exit code; 128 + n if signal n killed the program
    time: float  # seconds since the epoch


class RankFiles:
    """The folder `ranks/` with the log, the wrapper's process id and the exit code of each rank of this machine."""

    def __init__(self, folder: str):
        self.folder = folder

    def log(self, rank: int | str) -> str:
        """Return the path of the file that the output of the rank is appended to."""
        return os.path.join(self.folder, f"rank_{rank}.log")

    def scheduler_log(self) -> str:
        """Return the path of the file with the output of the scheduler of msrun."""
        return os.path.join(self.folder, "msrun", "scheduler.log")

    def clear(self, ranks: Sequence[int | str]) -> None:
        """Create the folder, and remove the files of an earlier run except for the logs.

        An empty file for each of the ranks is there to be renamed if the disk is full when one ends.
        """
        os.makedirs(self.folder, exist_ok=True)
        for name in os.listdir(self.folder):
            if name.endswith((".pid", ".ending", f".{_ENDED}")):
                os.remove(os.path.join(self.folder, name))
        for rank in (*ranks, SCHEDULER):
            with open(self._path(rank, _EXPECTED), "w"):
                pass

    def write_wrapper(self, rank: int | str, pid: int) -> None:
        """Record the process id of the wrapper of the rank. If that is not possible, the rank counts as failed."""
        try:
            self._write(rank, "pid", str(pid))
        except OSError:
            self._rename_to_ending(rank, 1)
            raise

    def wrapper(self, rank: int | str) -> int | None:
        """Return the process id of the wrapper of the rank, which may have ended; None before it has started."""
        text = self._read(rank, "pid")
        return None if text is None else int(text)

    def is_wrapper_alive(self, pid: int) -> bool:
        """Return whether the process `pid` is a wrapper of this folder, and not another process or a zombie."""
        return self.folder in command_line(pid)

    def write_ending(self, rank: int | str, code: int) -> None:
        """Record the exit code of the program of the rank, by renaming a file if the disk is full."""
        try:
            self._write(rank, "ending", str(code))
        except OSError:
            self._rename_to_ending(rank, code)

    def ending(self, rank: int | str) -> Ending | None:
        """Return the end of the program of the rank; None while it runs."""
        text = self._read(rank, "ending")
        if text is not None:
            return Ending(rank, int(text), os.stat(self._path(rank, "ending")).st_mtime)
        for path in glob.glob(f"{glob.escape(self._path(rank, ''))}*.{_ENDED}"):
            return Ending(rank, int(path.split(".")[-2]), os.stat(path).st_mtime)
        return None

    def _rename_to_ending(self, rank: int | str, code: int) -> None:
        with suppress(OSError):
            os.replace(self._path(rank, _EXPECTED), self._path(rank, f"{code}.{_ENDED}"))

    def _path(self, rank: int | str, kind: str) -> str:
        return os.path.join(self.folder, f"rank_{rank}.{kind}")

    def _write(self, rank: int | str, kind: str, text: str) -> None:
        with atomic_output(self._path(rank, kind)) as temporary, open(temporary, "w", encoding="ascii") as stream:
            stream.write(f"{text}\n")

    def _read(self, rank: int | str, kind: str) -> str | None:
        try:
            with open(self._path(rank, kind), encoding="ascii") as stream:
                return stream.read()
        except FileNotFoundError:
            return None


class PidFile:
    """The file `pid` of a run folder with the process id of the launcher, which locks it while it runs.

    The lock shows whether the run is active, because the system releases it when the process ends. The process id of a
    killed run may have been reused by another process. Where a file system has no locks, the process id decides.
    """

    def __init__(self, folder: str):
        self._path = os.path.join(folder, "pid")
        self._stream: IO[str] | None = None

    def take(self) -> bool:
        """Lock the file for this process and its forked children; return False if an active run holds the lock.

        Raises:
            MassError: the file is a link, whose target would be overwritten, or no regular file.
        """
        for _ in range(20):
            stream = os.fdopen(open_own_file(self._path), "r+", encoding="ascii", errors="replace")
            locked = lock_file(stream.fileno())
            if locked is None:
                locked = _launcher_in(stream) is None
            if locked and self._is_in_place(stream):
                self._stream = stream
                return True
            stream.close()
            time.sleep(0.05)  # another process is reading or removing the file: try again
        return False

    def write(self, pid: int) -> None:
        """Write the process id to the file that `take` has locked.

        A second id needs no more room, so that it can be written on a full disk too.
        """
        text = f"{pid}\n".encode()
        with errors_name(self._path):
            os.pwrite(self._stream.fileno(), text, 0)
            os.truncate(self._stream.fileno(), len(text))

    def release(self) -> None:
        """Remove the file, then release the lock."""
        os.remove(self._path)
        self._stream.close()

    def active_pid(self) -> int | None:
        """Return the process id of the launcher of the active run; None if there is none."""
        try:
            with os.fdopen(open_own_file(self._path, os.O_RDONLY), encoding="ascii", errors="replace") as stream:
                return None if lock_file(stream.fileno(), fcntl.LOCK_SH) else _launcher_in(stream)
        except FileNotFoundError:
            return None

    def _is_in_place(self, stream: IO[str]) -> bool:
        try:
            return os.path.samestat(os.fstat(stream.fileno()), os.stat(self._path))
        except FileNotFoundError:
            return False


def _launcher_in(stream: IO[str]) -> int | None:
    """Return the process id in a file if it is that of a launcher on this machine; machines may share a run folder."""
    text = stream.read(32).strip()
    return int(text) if text.isdecimal() and PROGRAM in command_line(int(text)) else None


def command_line(pid: int) -> str:
    """Return the command line of a process; empty if it does not exist or is a zombie."""
    if not os.path.isdir("/proc/self"):
        return subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True).stdout
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            return os.fsdecode(stream.read().replace(b"\0", b" "))
    except OSError:
        return ""
