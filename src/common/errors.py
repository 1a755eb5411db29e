"""Errors that a user can fix, and how entry scripts report them."""
import os
import signal
import sys
from collections.abc import Callable


class MassError(Exception):
    """An error that a user can fix; the message says what was found, where, and what to do about it.

    Entry scripts print the message without a traceback and exit with `exit_code`.
    """

    exit_code = 1


class UsageError(MassError):
    """An invalid command line or configuration; the exit code is 2."""

    exit_code = 2


def run(main: Callable[[], int | None]) -> None:
    """Run the `main` function of an entry script and exit.

    The exit code is 0 (or what `main` returns) on success, the `exit_code` of a MassError, 1 for an OSError, 130 after
    Ctrl-C and 143 after SIGTERM. Any other exception is a bug and is not caught, so that its traceback is shown.
    """
    script = os.path.basename(sys.argv[0])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an exception, so that unfinished files are removed
    try:
        code = main() or 0
        sys.stdout.flush()
    except MassError as error:
        print(f"{script}: error: {error}", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        print(f"{chr(10) * sys.stderr.isatty()}{script}: interrupted", file=sys.stderr)  # on a line of its own
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"{script}: error: {where}{error.strerror or error}", file=sys.stderr)
        code = 1
    sys.exit(code)
