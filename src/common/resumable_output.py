"""An output file of many lines that takes long: what is finished reaches the disk, and the same job continues there.

While the lines of `<path>` are made, the folder `<path>.part` holds

    lines      the lines so far, in their order
    job.json   what identifies the job, the number and checksum of the finished lines, and what the caller counts

When all lines are there, `lines` is renamed to `<path>` and the folder is removed.
"""
import hashlib
import json
import os
import sys
import zlib
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

from src.common.errors import UsageError
from src.common.files import remove_dead_scratch
from src.common.folder_lock import LOCK_FILE, locked_folder, open_own_file, require_in_place
from src.common.json_files import describe_error, read_json, take_checksum, write_json
from src.common.written_files import errors_name

ENDING = ".part"
LINES_FILE, JOB_FILE = "lines", "job.json"
_FORMAT = 1
_NAME_BYTES = 255  # of a file name on most systems


class _Note(NamedTuple):
    """The content of job.json."""

    job: dict[str, Any]
    lines: int
    bytes: int
    crc32: int
    notes: dict[str, Any]


class ResumableOutput:
    """A context in which lines are appended to the unfinished form of an output file.

    Args:
        path: the output file.
        job: what the lines depend on, as a JSON object: inputs, settings, versions. A job that was interrupted is
            continued only by an equal one.
        overwrite: replace an output that exists, and what another job has left unfinished.

    Attributes:
        count: the number of finished lines, above 0 if an earlier process has begun the job.
        notes: what the caller passed to `append` with the last of them; empty at the beginning.
        complete: whether an earlier process has finished the output, and was ended before it had cleaned up.

    Raises:
        UsageError: the output exists, or another job has left its unfinished lines there; the message says what
            differs.
        MassError: another process is writing the same output.
    """

    def __init__(self, path: str, job: Mapping[str, Any], overwrite: bool = False):
        self.path, self.folder = path, unfinished_folder(path)
        self.count, self.notes, self.complete = 0, {}, False
        self._job = json.loads(json.dumps(job))
        self._overwrite = overwrite
        self._bytes, self._checksum = 0, 0
        self._stream: BinaryIO | None = None
        self._contexts = ExitStack()

    def __enter__(self) -> "ResumableOutput":
        with ExitStack() as contexts:
            _require_own(self.folder)
            contexts.enter_context(locked_folder(self.folder))
            self._take_up(self._read_note())
            self._contexts = contexts.pop_all()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._stream:
            self._stream.close()
        remove_dead_scratch(self.folder)
        self._contexts.close()
        with suppress(OSError):  # it holds unfinished lines, or another process has begun the same output
            os.rmdir(self.folder)

    def append(self, lines: Iterable[str], notes: Mapping[str, Any]) -> None:
        """Write lines, and remember with them what the caller has counted so far.

        Raises:
            OSError: they cannot be written; the error names the output file, and the lines before remain.
            MassError: the folder of the unfinished output was removed or renamed.
        """
        self._require_in_place()
        block = "".join(f"{line}\n" for line in lines).encode("utf-8")
        with errors_name(self.path, self.folder):
            stream = self._stream = self._stream or self._open()
            view = memoryview(block)
            while view:
                view = view[stream.write(view):]
            os.fsync(stream.fileno())
            note = _Note(self._job, self.count + block.count(b"\n"), self._bytes + len(block),
                         zlib.crc32(block, self._checksum), dict(notes))
            write_json(self._in(JOB_FILE), {"format": _FORMAT, **note._asdict()}, checksum=True)
        self._set(note)

    def lines_on_disk(self) -> int:
        """Return the number of finished lines that the note on disk tells of; a signal may have come before `count`."""
        note = self._read_note()
        return note.lines if note and note.job == self._job else 0

    def finish(self) -> None:
        """Give the output its final name."""
        self._require_in_place()
        with errors_name(self.path, self.folder):
            (self._stream or self._open()).close()
            os.replace(self._in(LINES_FILE), self.path)
        self._remove_note()

    def _require_in_place(self) -> None:
        require_in_place(self.folder, "folder of unfinished lines", "put it back, or start again")

    def _open(self) -> BinaryIO:
        """Open the file of the lines, with the finished ones only."""
        stream = os.fdopen(open_own_file(self._in(LINES_FILE)), "r+b", buffering=0)
        stream.truncate(self._bytes)
        stream.seek(self._bytes)
        return stream

    def _take_up(self, note: _Note | None) -> None:
        """Continue the lines of an earlier process, if there are any and they are intact."""
        exists = os.path.exists(self.path)
        if note and note.job == self._job and exists and not os.path.exists(self._in(LINES_FILE)) and _is_intact(
                self.path, note):
            self.complete = True
            self._set(note)
            self._remove_note()
            return
        if exists and not self._overwrite:
            raise UsageError(f"{self.path!r} exists: give --overwrite to replace it, or choose another name")
        if note is None:
            return
        if note.job != self._job:
            if self._overwrite:
                return
            different = sorted(name for name in {*note.job, *self._job} if note.job.get(name) != self._job.get(name))
            raise UsageError(f"{self.folder!r} holds the first {note.lines:,} lines of another job (different: "
                             f"{', '.join(different)}): repeat the command that began it, give --overwrite to start "
                             f"anew, or choose another name for the output")
        if _is_intact(self._in(LINES_FILE), note):
            self._set(note)
        else:
            _warn(f"{self._in(LINES_FILE)!r} is damaged: its lines are made again")

    def _read_note(self) -> _Note | None:
        """Return the content of job.json; None if there is none or, with a warning, if it is damaged."""
        path = self._in(JOB_FILE)
        try:
            content = read_json(path, paths=True)
            take_checksum(content, required=True)
            if content.pop("format") != _FORMAT:
                raise ValueError("it was written by another version of this program")
            note = _Note(**content)
            if (type(note.lines), type(note.bytes), type(note.crc32)) != (int, int, int) or not (
                    isinstance(note.job, dict) and isinstance(note.notes, dict)):
                raise ValueError("not a note of this program")
            return note
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            _warn(f"{path!r} is damaged ({describe_error(error)}): the lines beside it are made again")
            return None

    def _set(self, note: _Note) -> None:
        self.count, self.notes, self._bytes, self._checksum = note.lines, note.notes, note.bytes, note.crc32

    def _remove_note(self) -> None:
        with suppress(FileNotFoundError):  # an output without lines
            os.remove(self._in(JOB_FILE))

    def _in(self, name: str) -> str:
        return os.path.join(self.folder, name)


def unfinished_folder(path: str) -> str:
    """Return the folder of the unfinished form of an output; its name is shortened if it would be too long."""
    folder, name = os.path.split(path)
    if len(os.fsencode(name)) + len(ENDING) > _NAME_BYTES:
        name = f"{name[:40]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"
    return os.path.join(folder, name + ENDING)


def is_unfinished(path: str) -> bool:
    """Return whether a process has begun the output `path` and has not cleaned up."""
    return os.path.exists(os.path.join(unfinished_folder(path), JOB_FILE))


def _require_own(folder: str) -> None:
    """Raise a UsageError if there is something else under the name of the folder."""
    own = {LINES_FILE, JOB_FILE, LOCK_FILE}
    if os.path.lexists(folder) and (os.path.islink(folder) or not os.path.isdir(folder) or any(
            name not in own and not name.startswith(".") for name in os.listdir(folder))):
        raise UsageError(f"{folder!r} is there, where the unfinished output would be written, and is none of this "
                         f"program: choose another name for the output")


def _is_intact(path: str, note: _Note) -> bool:
    """Return whether a file begins with the lines that a note describes."""
    checksum, left, lines = 0, note.bytes, 0
    try:
        with open(path, "rb") as stream:
            while left > 0 and (block := stream.read(min(left, 1 << 20))):
                checksum, left, lines = zlib.crc32(block, checksum), left - len(block), lines + block.count(b"\n")
    except OSError:
        return False
    return (left, checksum, lines) == (0, note.crc32, note.lines)


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr, flush=True)
