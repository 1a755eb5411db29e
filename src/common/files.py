"""Files found, and files written so that they are never half-written. (Text is read by `text_files`.)"""
import glob
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from src.common.errors import MassError, UsageError

_SCRATCH = ".partial-"


def require_file(path: str, what: str) -> str:
    """Return `path` if it is a readable file; `what` names its role in the error."""
    if os.path.isdir(path):
        raise MassError(f"{what} {path!r} is a folder; give a file")
    if not os.path.isfile(path):
        raise MassError(f"{what} {path!r} does not exist (looked in {os.getcwd()})")
    return path


def require_folder(path: str, what: str) -> str:
    """Return `path` if it is a folder; `what` names its role in the error."""
    if os.path.isfile(path):
        raise MassError(f"{what} {path!r} is a file; give a folder")
    if not os.path.isdir(path):
        raise MassError(f"{what} {path!r} does not exist (looked in {os.getcwd()})")
    return path


def list_files(folder: str, pattern: str, what: str) -> list[str]:
    """Files of `folder` that match the glob `pattern`, sorted by name; none is an error."""
    require_folder(folder, what)
    found = sorted(p for p in glob.glob(os.path.join(glob.escape(folder), pattern)) if os.path.isfile(p))
    if not found:
        raise MassError(f"{what} {folder!r} holds no file named {pattern}")
    return found


def make_output_folder(path: str) -> str:
    """Create `path` and its parents if need be; an error says why it cannot be written to."""
    if os.path.exists(path) and not os.path.isdir(path):
        raise UsageError(f"output folder {path!r} is a file")
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise MassError(f"output folder {path!r} cannot be made: {error.strerror}") from error
    if not os.access(path, os.W_OK):
        raise MassError(f"output folder {path!r} is not writable")
    return path


@contextmanager
def atomic_output(path: str) -> Iterator[str]:
    """Give a temporary path beside `path`; rename it to `path` on success, remove it on failure.

    The name `path` therefore never stands for an incomplete file.
    """
    folder = make_output_folder(os.path.dirname(path) or ".")
    if os.path.isdir(path):
        raise MassError(f"output file {path!r} is a folder")
    with _scratch_folder(folder) as scratch:
        temporary = os.path.join(scratch, os.path.basename(path))
        yield temporary
        os.replace(temporary, path)


@contextmanager
def atomic_outputs(folder: str) -> Iterator[str]:
    """Give a scratch folder inside `folder`; on success all files made in it move up into `folder`.

    For formats that write several files which name each other (MindRecord and its index).
    """
    make_output_folder(folder)
    with _scratch_folder(folder) as scratch:
        yield scratch
        for name in sorted(os.listdir(scratch)):
            os.replace(os.path.join(scratch, name), os.path.join(folder, name))


def copy_atomically(source: str, destination: str) -> None:
    """Copy a file so that `destination` appears whole or not at all."""
    with atomic_output(destination) as temporary:
        shutil.copyfile(source, temporary)


def _scratch_folder(folder: str) -> tempfile.TemporaryDirectory:
    """A folder for unfinished files in `folder`; its name says which process of which machine is at work in it."""
    _clean_once(os.path.realpath(folder))
    return tempfile.TemporaryDirectory(prefix=f"{_SCRATCH}{platform.node()}-{os.getpid()}-", dir=folder)


def remove_dead_scratch(folder: str) -> None:
    """Remove the unfinished files that runs which were killed have left in `folder`.

    Only those of processes of this machine that no longer exist.
    """
    for path in glob.glob(os.path.join(glob.escape(folder), f"{_SCRATCH}{glob.escape(platform.node())}-*-*")):
        process = os.path.basename(path).rsplit("-", 2)[1]
        if process.isdecimal() and not _process_exists(int(process)):
            shutil.rmtree(path, ignore_errors=True)


@cache
def _clean_once(folder: str) -> None:
    """The first output in a folder removes what killed runs have left there."""
    remove_dead_scratch(folder)


def _process_exists(number: int) -> bool:
    try:
        os.kill(number, 0)  # signal 0 asks and does nothing
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # another user's process; or no process number, and so none of our folders
    return True
