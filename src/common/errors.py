"""The errors that are the user's to mend, and how an entry script reports them."""
import os
import signal
import sys
from collections.abc import Callable


class MassError(Exception):
    """Something a user can mend; the message says what was found, where, and what to do.

    An entry script prints the message without a traceback and exits with `exit_code`.
    """

    exit_code = 1


class UsageError(MassError):
    """A command line or a configuration that cannot be meant: exit code 2."""

    exit_code = 2


def run(main: Callable[[], int | None]) -> None:
    """Run the `main` of an entry script and end the process with its exit code.

    0 (or what `main` returns) on success, `exit_code` of a MassError, 1 for a file that the system
    refuses, 130 after Ctrl-C, 143 after SIGTERM. Anything else is a fault of the program and keeps its traceback.
    """
    script = os.path.basename(sys.argv[0])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leave through the clean-up of unfinished files
    try:
        code = main() or 0
        sys.stdout.flush()
    except MassError as error:
        print(f"{script}: error: {error}", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        print(f"{chr(10) * sys.stderr.isatty()}{script}: interrupted", file=sys.stderr)  # not behind what was typed
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"{script}: error: {where}{error.strerror or error}", file=sys.stderr)
        code = 1
    sys.exit(code)
