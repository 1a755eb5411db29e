"""Text files in, files out: decoding, listing, and outputs that are never half-written."""
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from src.utils.errors import MassError, UsageError


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


def read_lines(path: str) -> Iterator[str]:
    """Yield the lines of a UTF-8 text file, without their ends.

    Only `\\n` ends a line (U+2028 and form feeds do not), so line i of two paired files stays line i;
    a `\\r` before it and a byte-order mark at the start of the file are removed.

    Raises:
        MassError: the file is missing, or a line is not UTF-8; the message names file and line.
    """
    require_file(path, "text file")
    with open(path, "rb") as stream:
        for number, raw in enumerate(stream, start=1):
            if number == 1 and raw.startswith(b"\xef\xbb\xbf"):
                raw = raw[3:]
            try:
                line = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                raise MassError(
                    f"{path}, line {number}: not UTF-8 (byte {raw[error.start]:#04x} at column {error.start + 1}); "
                    f"convert the file first, for example with: iconv -f ISO-8859-1 -t UTF-8"
                ) from error
            yield line.removesuffix("\n").removesuffix("\r")


@contextmanager
def atomic_output(path: str) -> Iterator[str]:
    """Give a temporary path beside `path`; rename it to `path` on success, remove it on failure.

    The name `path` therefore never stands for an incomplete file.
    """
    folder = make_output_folder(os.path.dirname(path) or ".")
    if os.path.isdir(path):
        raise MassError(f"output file {path!r} is a folder")
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as scratch:
        temporary = os.path.join(scratch, os.path.basename(path))
        yield temporary
        os.replace(temporary, path)


@contextmanager
def atomic_outputs(folder: str) -> Iterator[str]:
    """Give a scratch folder inside `folder`; on success all files made in it move up into `folder`.

    For formats that write several files which name each other (MindRecord and its index).
    """
    make_output_folder(folder)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as scratch:
        yield scratch
        for name in sorted(os.listdir(scratch)):
            os.replace(os.path.join(scratch, name), os.path.join(folder, name))


def copy_atomically(source: str, destination: str) -> None:
    """Copy a file so that `destination` appears whole or not at all."""
    with atomic_output(destination) as temporary:
        shutil.copyfile(source, temporary)
