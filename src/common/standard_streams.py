"""Standard input, output and error of the scripts: usable although they are closed, or cannot show a character."""
import os
import sys

_NAMES = ("stdin", "stdout", "stderr")  # in the order of their descriptors 0, 1 and 2

_closed: set[str] = set()


def prepare_standard_streams() -> None:
    """Make stdout and stderr usable; call this first, before the program opens any file.

    A character that a stream cannot show is written as an escape such as `\\xfc`. What is written to a closed stream is
    lost. The descriptor of a closed stream becomes that of the null device: otherwise the next file that is opened
    would have its number, and compiled code and worker processes would write their messages into that file.
    """
    for descriptor, name in enumerate(_NAMES):
        if getattr(sys, name) is None:  # Python found the descriptor closed when it started
            _closed.add(name)
            _open_null_device(descriptor)
            if name != "stdin":  # a closed standard input stays None, which programs that read it test
                setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (until the script ends)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a program that calls the scripts may have put another object there
            stream.reconfigure(errors="backslashreplace")


def stdout_is_closed() -> bool:
    """Return whether the script was started without a standard output, so that what it prints is lost."""
    return "stdout" in _closed


def _open_null_device(descriptor: int) -> None:
    """Open the null device as a descriptor that is closed; one that has been opened since is left alone."""
    try:
        os.fstat(descriptor)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != descriptor:
            os.dup2(opened, descriptor)
            os.close(opened)
        os.set_inheritable(descriptor, True)
