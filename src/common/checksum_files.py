"""Checksums beside files whose format has no room for one: `<file>.sha256`, as `sha256sum -c` reads it."""
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from src.common.errors import MassError
from src.common.files import atomic_output, file_digest
from src.common.json_files import describe_error
from src.common.regular_files import read_bounded

ENDING = ".sha256"
_MAX_BYTES = 1 << 16
_LINE = re.compile(rb"\\?([0-9a-f]{64}) [ *]")


@contextmanager
def output_with_checksum(path: str) -> Iterator[str]:
    """Yield a temporary path as `atomic_output` does; the file is kept with its checksum beside it."""
    with atomic_output(path) as temporary:
        yield temporary
        digest = file_digest(temporary)
        with suppress(FileNotFoundError):  # an interruption leaves a file without a checksum, never one with another
            os.remove(path + ENDING)
    with atomic_output(path + ENDING) as temporary, open(temporary, "wb") as stream:
        stream.write(digest.encode() + b"  " + os.fsencode(os.path.basename(path)) + b"\n")


def require_checksum_of(path: str) -> None:
    """Compare a file with the checksum beside it; a file that has none passes.

    Raises:
        MassError: the checksum differs, or cannot be read.
    """
    beside = path + ENDING
    if not os.path.lexists(beside):
        return
    try:
        match = _LINE.match(read_bounded(beside, _MAX_BYTES))
    except (OSError, ValueError) as error:
        raise MassError(f"{beside}: {describe_error(error)}; restore the checksum of {path!r}, or remove it") from error
    if not match:
        raise MassError(f"{beside}: not a checksum as sha256sum writes it; restore it, or remove it")
    if file_digest(path) != match[1].decode():
        raise MassError(f"{path}: its checksum is not the one in {os.path.basename(beside)!r}: it is damaged, and must "
                        f"be restored or made again; or it was changed, and {beside} must be removed")
