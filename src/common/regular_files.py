"""Opening files that may be something else than they seem: a FIFO would block, a bomb would fill the memory."""
import errno
import gzip
import io
import os
import stat
import zlib
from typing import BinaryIO


def open_regular(path: str) -> BinaryIO:
    """Open a regular file for reading; a FIFO, a device or a folder is refused without waiting for it.

    Raises:
        OSError: the file cannot be opened, or is not a regular file; the error names it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return os.fdopen(descriptor, "rb")


def read_bounded(path: str, max_bytes: int) -> bytes:
    """Return the content of a regular file.

    Raises:
        OSError: the file cannot be read, or is not a regular file; the error names it.
        ValueError: it is larger than `max_bytes`.
    """
    with open_regular(path) as stream:
        data = stream.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise ValueError(f"it is larger than {max_bytes >> 20} MiB")
    return data


def gunzip_bounded(data: bytes, max_bytes: int) -> bytes:
    """Return the decompressed content of gzipped data; the limit holds while it is decompressed.

    Raises:
        ValueError: it is not gzipped or is damaged, or its content is larger than `max_bytes`.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            content = stream.read(max_bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(str(error)) from error
    if len(content) > max_bytes:
        raise ValueError(f"its content is larger than {max_bytes >> 20} MiB")
    return content
