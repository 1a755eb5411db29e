"""The files by which a run's launcher, its ranks and stop_training.sh know of each other."""
import fcntl
import os
import subprocess
import time
from typing import IO, NamedTuple

from src.common.files import atomic_output

PROGRAM = "launch.py"  # what the command lines of launchers and keepers of ranks name
SCHEDULER = "scheduler"  # takes the place of a rank number in file names



class Ending(NamedTuple):
    """How a rank's program ended."""

    rank: int | str
    code: int  # as a shell counts: 128 + the signal's number if a signal killed it
    time: float  # seconds since the epoch


class RankFiles:
    """The folder `ranks/`: for each rank of this machine its log, the process that keeps it, and how it ended."""

    def __init__(self, folder: str):
        self.folder = folder

    def log(self, rank: int | str) -> str:
        """The file that the rank's output is appended to."""
        return os.path.join(self.folder, f"rank_{rank}.log")

    def scheduler_log(self) -> str:
        """Where msrun has the scheduler's output go."""
        return os.path.join(self.folder, "msrun", "scheduler.log")

    def clear(self) -> None:
        """Make the folder, and forget the processes of an earlier run; the logs stay."""
        os.makedirs(self.folder, exist_ok=True)
        for name in os.listdir(self.folder):
            if name.endswith((".pid", ".ending")):
                os.remove(os.path.join(self.folder, name))

    def write_keeper(self, rank: int | str, pid: int) -> None:
        """Note the process that keeps the rank."""
        self._write(rank, "pid", str(pid))

    def keeper(self, rank: int | str) -> int | None:
        """The process that keeps the rank, dead or alive; None before it has started."""
        text = self._read(rank, "pid")
        return None if text is None else int(text)

    def keeper_lives(self, pid: int) -> bool:
        """Whether `pid` still is a process that keeps a rank of this folder, not a stranger or a zombie."""
        return self.folder in command_line(pid)

    def write_ending(self, rank: int | str, code: int) -> None:
        """Note how the rank's program ended."""
        self._write(rank, "ending", str(code))

    def ending(self, rank: int | str) -> Ending | None:
        """How the rank's program ended; None before it has."""
        text = self._read(rank, "ending")
        return None if text is None else Ending(rank, int(text), os.stat(self._path(rank, "ending")).st_mtime)

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
    """The file `pid` of a run folder, which holds the launcher's process id and is locked as long as that lives.

    The lock, not the number, tells whether the run lives: the system drops it with the process, and a number left
    by a killed run may belong to a stranger by now.
    """

    def __init__(self, folder: str):
        self._path = os.path.join(folder, "pid")
        self._stream: IO[str] | None = None

    def take(self) -> bool:
        """Lock the file for this process and the children it forks; False if a live run holds it."""
        for _ in range(20):
            stream = open(self._path, "a+", encoding="ascii")  # noqa: SIM115
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(stream.fileno()), os.stat(self._path)):
                    self._stream = stream
                    return True
            except (BlockingIOError, FileNotFoundError):
                time.sleep(0.05)  # stop_training.sh looks at it, or the run that held it ends and removes it: once more
            stream.close()
        return False

    def write(self, pid: int) -> None:
        """Write the process id into the file that `take` locked."""
        self._stream.truncate(0)
        self._stream.write(f"{pid}\n")
        self._stream.flush()

    def release(self) -> None:
        """Remove the file, then give up the lock."""
        os.remove(self._path)
        self._stream.close()

    def live_pid(self) -> int | None:
        """The launcher of the live run, or None."""
        try:
            with open(self._path, encoding="ascii") as stream:
                try:
                    fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    return None
                except BlockingIOError:
                    text = stream.read().strip()
        except FileNotFoundError:
            return None
        # A run folder may be shared by machines: the process must be a launcher on this one.
        return int(text) if text.isdecimal() and PROGRAM in command_line(int(text)) else None


def command_line(pid: int) -> str:
    """The command line of a process; empty if there is no such process or it is a zombie."""
    if not os.path.isdir("/proc/self"):
        return subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True).stdout
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            return os.fsdecode(stream.read().replace(b"\0", b" "))
    except OSError:
        return ""
