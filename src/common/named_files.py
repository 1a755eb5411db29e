"""The paths of files whose names were read from other files.

Descriptions of records, checkpoints and text name the files that belong to them. They may come from strangers, so a
name is never more than a name: `file_named` is the only way from it to a path.
"""
import os
import stat
from typing import Any

from src.common.errors import MassError

_MAX_NAME_BYTES = 255  # the limit of common file systems


def is_plain_name(name: Any, ending: str = "") -> bool:
    """Return whether `name` is the name of a visible file in some folder: no path, no control characters."""
    return (isinstance(name, str) and name.isprintable() and not name.startswith(".") and name.endswith(ending)
            and set("/\\:").isdisjoint(name) and 0 < len(os.fsencode(name)) <= _MAX_NAME_BYTES)


def file_named(name: Any, described_in: str, what: str, ending: str) -> str:
    """Return the path of a file that another file names; both are in the same folder. The file need not exist.

    Args:
        name: the name as it was read; it may be of any type.
        described_in: the path of the file that the name was read from.
        what: the role of the named file, for the message.
        ending: what the name must end with, so that a file is never copied under a name that something else reads.

    Raises:
        MassError: the name is not a plain file name with this ending, or the file is a folder, a device, a FIFO, or a
            link to a file outside of the folder.
    """
    if not is_plain_name(name, ending):
        raise MassError(f"{described_in}: it names {ascii(name)[:100]} as {what}, but only a plain file name that ends "
                        f"in {ending} is allowed, of a file in the same folder; nothing else is followed")
    folder = os.path.dirname(described_in)
    path = os.path.join(folder, name)
    try:
        state = os.stat(path)
    except OSError:
        return path  # whoever opens it reports that it is missing
    if not stat.S_ISREG(state.st_mode):
        raise MassError(f"{described_in}: it names {name!r} as {what}, which is not a regular file")
    if os.path.dirname(os.path.realpath(path)) != os.path.realpath(folder or "."):
        raise MassError(f"{described_in}: it names {name!r} as {what}, which is a link to a file in another folder; "
                        f"such links are not followed: put the file itself there")
    return path
