"""Finding files, and writing them atomically: a file under its final name is always complete."""
import glob
import hashlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial

from src.common import interruption
from src.common.errors import MassError, UsageError
from src.common.output_checks import require_replaceable
from src.common.processes import ProcessIdentity
from src.common.written_files import apply_umask, errors_name

_SCRATCH = ".partial-"
_SCRATCH_NAME = re.compile(re.escape(_SCRATCH) + r"(.+)-[^-]+")


def require_file(path: str, what: str) -> str:
    """Return `path` if it is a file, else raise a MassError in which `what` names the role of the file."""
    mode = _mode_of(path, what)
    if stat.S_ISDIR(mode):
        raise MassError(f"{what} {path!r} is a folder; give a file")
    if not stat.S_ISREG(mode):
        raise MassError(f"{what} {path!r} is not a regular file (a device or a pipe); give a file")
    return path


def require_folder(path: str, what: str) -> str:
    """Return `path` if it is a folder, else raise a MassError in which `what` names the role of the folder."""
    if not stat.S_ISDIR(_mode_of(path, what)):
        raise MassError(f"{what} {path!r} is a file; give a folder")
    return path


def _mode_of(path: str, what: str) -> int:
    """Return the mode of a file or folder, or raise a MassError that says why it cannot be opened."""
    try:
        return os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # ValueError: a NUL byte
        reason = error, f"does not exist (looked in {os.getcwd()})"
    except OSError as error:
        reason = error, f"cannot be opened: {error.strerror}"
    cause, text = reason
    if os.path.islink(path) and not isinstance(cause, PermissionError):
        text = f"is a link to {os.readlink(path)!r}, which cannot be opened"
    raise MassError(f"{what} {path!r} {text}") from cause


def list_files(folder: str, pattern: str, what: str) -> list[str]:
    """Return the paths of the files in `folder` that match the glob `pattern`, sorted by name.

    Raises:
        MassError: the folder is missing or no file matches; `what` names the role of the folder in the message.
    """
    require_folder(folder, what)
    try:
        os.scandir(folder).close()  # glob would find nothing in a folder that must not be read
    except OSError as error:
        raise MassError(f"{what} {folder!r} cannot be read: {error.strerror}") from error
    found = sorted(p for p in glob.glob(os.path.join(glob.escape(folder), pattern)) if not os.path.isdir(p))
    for path in found:
        try:
            readable = stat.S_ISREG(os.stat(path).st_mode)
        except PermissionError as error:
            raise MassError(f"{what} {folder!r}: {os.path.basename(path)!r} cannot be read: {error.strerror}") \
                from error
        except OSError:
            readable = False
        if not readable:
            raise MassError(f"{what} {folder!r}: {os.path.basename(path)!r} is not a file that can be read (it is a "
                            f"broken link, or a device); repair or remove it")
    if not found:
        raise MassError(f"{what} {folder!r} holds no file named {pattern}")
    return found


def make_output_folder(path: str) -> str:
    """Create the folder `path` and its parents unless they exist, and return `path`.

    Raises:
        UsageError: `path` is a file.
        MassError: the folder cannot be created or written to.
    """
    if os.path.exists(path) and not os.path.isdir(path):
        raise UsageError(f"output folder {path!r} is a file")
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise MassError(f"output folder {path!r} cannot be created: {error.strerror}") from error
    if not os.access(path, os.W_OK):
        raise MassError(f"output folder {path!r} is not writable")
    return path


@contextmanager
def atomic_output(path: str) -> Iterator[str]:
    """Yield a temporary path in the folder of `path`; rename it to `path` on success, remove it on failure.

    There is therefore never an incomplete file under the name `path`.
    """
    folder = make_output_folder(os.path.dirname(path) or ".")
    if os.path.isdir(path):
        raise MassError(f"output file {path!r} is a folder")
    require_replaceable(path, "output file")
    with _scratch_folder(folder) as scratch, errors_name(path, scratch):
        temporary = os.path.join(scratch, os.path.basename(path))
        yield temporary
        apply_umask(scratch)
        os.replace(temporary, path)


@contextmanager
def atomic_outputs(folder: str) -> Iterator[str]:
    """Yield a scratch folder inside `folder`; on success, all files in it are moved to `folder`.

    This is for formats that write several files which refer to each other, such as MindRecord and its index.
    """
    make_output_folder(folder)
    with _scratch_folder(folder) as scratch, errors_name(folder, scratch):
        yield scratch
        apply_umask(scratch)
        for name in os.listdir(scratch):
            require_replaceable(os.path.join(folder, name), "output file")
        for name in sorted(os.listdir(scratch)):
            os.replace(os.path.join(scratch, name), os.path.join(folder, name))


@contextmanager
def atomic_folder(path: str) -> Iterator[str]:
    """Yield a temporary folder beside `path`; rename it to `path` on success, remove it on failure.

    A folder that exists under that name is replaced as a whole.
    """
    path = os.path.abspath(path)
    with _scratch_folder(make_output_folder(os.path.dirname(path))) as scratch, errors_name(path, scratch):
        temporary, replaced = os.path.join(scratch, "new"), os.path.join(scratch, "replaced")
        os.mkdir(temporary)
        yield temporary
        apply_umask(temporary)
        if os.path.exists(path):
            os.rename(path, replaced)
        os.rename(temporary, path)


def copy_atomically(source: str, destination: str) -> None:
    """Copy a file so that `destination` is either complete or does not exist."""
    with atomic_output(destination) as temporary:
        shutil.copyfile(source, temporary)


def file_digest(path: str) -> str:
    """Return the SHA-256 digest of the content of a file, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def scratch_prefix(owner: ProcessIdentity) -> str:
    """Return what the names of a process's folders for unfinished files begin with."""
    return f"{_SCRATCH}{owner}-"


@contextmanager
def _scratch_folder(folder: str) -> Iterator[str]:
    """A new folder for unfinished files in `folder`, which is removed at the end; its name says whose it is."""
    _clean_once(os.path.realpath(folder))
    path = os.path.abspath(os.path.join(folder, scratch_prefix(ProcessIdentity.own()) + secrets.token_hex(4)))
    remove = partial(shutil.rmtree, path, ignore_errors=True)
    interruption.unfinished[path] = remove  # first, as a signal may end the process at any moment
    try:
        os.mkdir(path, 0o700)
        yield path
    finally:
        remove()
        interruption.unfinished.pop(path, None)


def remove_dead_scratch(folder: str) -> None:
    """Remove the unfinished files of killed runs from `folder`.

    Only files of processes that are certainly dead are removed: a folder may be shared with other machines and
    containers, whose processes cannot be seen from here.
    """
    for path in glob.glob(os.path.join(glob.escape(folder), f"{_SCRATCH}*-*")):
        match = _SCRATCH_NAME.fullmatch(os.path.basename(path))
        owner = ProcessIdentity.parse(match[1]) if match else None
        if owner and owner.is_certainly_dead():
            shutil.rmtree(path, ignore_errors=True)


@cache
def _clean_once(folder: str) -> None:
    """Remove the unfinished files of killed runs before the first output in a folder."""
    remove_dead_scratch(folder)
