"""What holds for every file that the program writes: errors name it, and its mode is the one that the umask gives."""
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def errors_name(path: str, written_in: str = "") -> Iterator[None]:
    """Make errors of writing name the file `path`: the system does not say which file a full disk was met in.

    Args:
        written_in: the folder of the unfinished file, whose name would not help the user.

    Raises:
        OSError: as raised within, but with the name.
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None and not (written_in and str(error.filename).startswith(written_in)):
            raise
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), path) from error


def apply_umask(folder: str) -> None:
    """Give all files in a folder and below the mode that new files have there; execute permissions are kept."""
    probe = os.path.join(folder, ".mode")
    descriptor = os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    default = os.fstat(descriptor).st_mode & 0o777
    os.close(descriptor)
    os.remove(probe)
    for parent, _, names in os.walk(folder):
        for name in names:
            file = os.path.join(parent, name)
            state = os.lstat(file)
            wanted = stat.S_IMODE(state.st_mode) | default
            if stat.S_ISREG(state.st_mode) and wanted != stat.S_IMODE(state.st_mode):
                with suppress(PermissionError):  # a hard link to a file of another user
                    os.chmod(file, wanted)
