"""An output file of many lines that takes long: what is finished reaches the disk, and the same job continues there.

While the lines of `<path>` are made, the folder `<path>.part` holds

    lines      the lines so far, in their order
    job.json   what identifies the job, the number and checksum of the finished lines, and what the caller counts

When all lines are there, `lines` is renamed to `<path>` and the folder is removed.
"""
import json
import os
import zlib
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any, BinaryIO

from src.common.errors import UsageError
from src.common.folder_lock import LOCK_FILE, locked_folder
from src.common.json_files import read_json, take_checksum, write_json
from src.common.written_files import errors_name

ENDING = ".part"
LINES_FILE, JOB_FILE = "lines", "job.json"
_FORMAT = 1


class ResumableOutput:
    """A context in which lines are appended to the unfinished form of an output file.

    Args:
        path: the output file.
        job: what the lines depend on, as a JSON object: inputs, settings, versions. A job that was interrupted is
            continued only by an equal one.
        start_anew: replace what another job has left unfinished.

    Attributes:
        count: the number of finished lines, above 0 if an earlier process has begun the job.
        notes: what the caller passed to `append` with the last of them; empty at the beginning.

    Raises:
        UsageError: another job has left its unfinished lines there; the message says what differs.
        MassError: another process is writing the same output.
    """

    def __init__(self, path: str, job: Mapping[str, Any], start_anew: bool = False):
        self.path, self.folder = path, path + ENDING
        self.count, self.notes = 0, {}
        self._job = json.loads(json.dumps(job))
        self._start_anew = start_anew
        self._bytes, self._checksum = 0, 0
        self._stream: BinaryIO | None = None
        self._contexts = ExitStack()

    def __enter__(self) -> "ResumableOutput":
        with ExitStack() as contexts:
            _require_own(self.folder)
            contexts.enter_context(locked_folder(self.folder))
            self._continue(_read_note(self._in(JOB_FILE)))
            self._stream = contexts.enter_context(open(self._in(LINES_FILE), "r+b" if self.count else "w+b"))
            self._stream.truncate(self._bytes)
            self._stream.seek(self._bytes)
            self._contexts = contexts.pop_all()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the files; nothing is left of a job that finished no line."""
        if not self.count and os.path.isdir(self.folder):
            for name in (LINES_FILE, JOB_FILE):
                if os.path.exists(self._in(name)):
                    os.remove(self._in(name))
        self._contexts.close()
        if not self.count:
            with suppress(OSError):  # another process has begun the same output
                os.rmdir(self.folder)

    def append(self, lines: Iterable[str], notes: Mapping[str, Any]) -> None:
        """Write lines, and remember with them what the caller has counted so far.

        Raises:
            OSError: they cannot be written; the error names the output file, and the lines before remain.
        """
        block = "".join(f"{line}\n" for line in lines).encode("utf-8")
        with errors_name(self.path, self.folder):
            self._stream.write(block)
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self.count += block.count(b"\n")
            self._bytes, self._checksum = self._bytes + len(block), zlib.crc32(block, self._checksum)
            self.notes = dict(notes)
            write_json(self._in(JOB_FILE), {"format": _FORMAT, "job": self._job, "lines": self.count,
                                            "bytes": self._bytes, "crc32": self._checksum, "notes": self.notes},
                       checksum=True)

    def finish(self) -> None:
        """Give the output its final name."""
        self._stream.close()
        with errors_name(self.path, self.folder):
            os.replace(self._in(LINES_FILE), self.path)
        with suppress(FileNotFoundError):  # an output without lines
            os.remove(self._in(JOB_FILE))
        self.count = 0

    def _continue(self, note: dict[str, Any] | None) -> None:
        """Take up the lines of an earlier process, if there are any and they are intact."""
        if note is None:
            return
        if note["job"] != self._job:
            if self._start_anew:
                return
            different = sorted(name for name in {*note["job"], *self._job}
                               if note["job"].get(name) != self._job.get(name))
            raise UsageError(f"{self.folder!r} holds the first {note['lines']:,} lines of another job (different: "
                             f"{', '.join(different)}): repeat the command that began it, give --overwrite to start "
                             f"anew, or choose another name for the output")
        if _checksum_of_file(self._in(LINES_FILE), note["bytes"]) == note["crc32"]:
            self.count, self.notes = note["lines"], note["notes"]
            self._bytes, self._checksum = note["bytes"], note["crc32"]

    def _in(self, name: str) -> str:
        return os.path.join(self.folder, name)


def _require_own(folder: str) -> None:
    """Raise a UsageError if there is something else under the name of the folder."""
    own = {LINES_FILE, JOB_FILE, LOCK_FILE}
    if os.path.lexists(folder) and (os.path.islink(folder) or not os.path.isdir(folder) or any(
            name not in own and not name.startswith(".") for name in os.listdir(folder))):
        raise UsageError(f"{folder!r} is there, where the unfinished output would be written, and is none of this "
                         f"program: choose another name for the output")
    for name in (LINES_FILE, JOB_FILE):
        path = os.path.join(folder, name)
        if os.path.islink(path) or (os.path.lexists(path) and not os.path.isfile(path)):
            raise UsageError(f"{path!r} is a link or no file: remove {folder!r}")


def _read_note(path: str) -> dict[str, Any] | None:
    """Return the content of job.json, None if there is none or it is damaged."""
    try:
        note = read_json(path)
        take_checksum(note, required=True)
        return note if note["format"] == _FORMAT else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _checksum_of_file(path: str, size: int) -> int | None:
    """Return the CRC-32 of the first `size` bytes of a file, None if it has fewer."""
    checksum = 0
    try:
        with open(path, "rb") as stream:
            while size > 0:
                block = stream.read(min(size, 1 << 20))
                if not block:
                    return None
                checksum, size = zlib.crc32(block, checksum), size - len(block)
    except OSError:
        return None
    return checksum
