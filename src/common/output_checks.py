"""What no output may be: an input, another output, a device or a pipe. Checked before any work is done."""
import os
import stat
from collections.abc import Iterable

from src.common.errors import UsageError

Role = tuple[str, str | None]
"""What a path is to the program (such as the name of its flag), and the path; None or "" if there is no such file."""


def require_different_files(inputs: Iterable[Role], outputs: Iterable[Role]) -> None:
    """Check that writing the outputs will replace neither an input, nor another output, nor a device.

    Links are followed. The same file may be several inputs.

    Raises:
        UsageError: an output is one of the inputs, another output, a device or a pipe; the message names both roles.
    """
    seen: dict[str, str] = {}
    for role, path in inputs:
        if path:
            seen.setdefault(os.path.realpath(path), role)
    for role, path in outputs:
        if path:
            require_replaceable(path, role)
            real = os.path.realpath(path)
            if real in seen:
                raise UsageError(f"{seen[real]} and {role} are the same file, {path!r}: choose another name")
            seen[real] = role


def require_replaceable(path: str, role: str) -> None:
    """Raise a UsageError if the path of an output is a device, a FIFO or a socket.

    Outputs are renamed to their final names, which would remove it. Links into /proc, such as /dev/stdout, stand for
    devices too.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # nothing is there, or the reason is reported when the output is written
        return
    is_file = stat.S_ISREG(mode) or stat.S_ISDIR(mode)  # folders have messages of their own
    if not is_file or (os.path.islink(path) and os.readlink(path).startswith("/proc/")):
        raise UsageError(f"{role} {path!r} is a device or a pipe, which would be replaced by a file; give the name of "
                         f"a file")


def find_repeated_file(paths: Iterable[str]) -> tuple[str, str] | None:
    """Return two of the paths that are one file, by links of any kind; None if all are different files.

    Paths at which there is no file are ignored.
    """
    seen: dict[tuple[int, int], str] = {}
    for path in paths:
        try:
            state = os.stat(path)
        except (OSError, ValueError):
            continue
        earlier = seen.get((state.st_dev, state.st_ino))
        if earlier is not None:
            return earlier, path
        seen[state.st_dev, state.st_ino] = path
    return None
