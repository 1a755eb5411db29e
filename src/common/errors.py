"""Errors that a user can fix, and how entry scripts report them."""
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

from src.common.interruption import Stopped, end_on_signals, interrupted, message, remove_unfinished, stopping
from src.common.standard_streams import prepare_standard_streams


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
    Ctrl-C, 143 after SIGTERM and 129 after SIGHUP, in each case within seconds. Any other exception is a bug and is not
    caught, so that its traceback is shown.

    Standard output and standard error may be closed, and may be unable to show a character (see
    `prepare_standard_streams`).
    """
    prepare_standard_streams()
    script = os.path.basename(sys.argv[0])
    end_on_signals(script)
    try:
        code = _unless_stopped(main) or 0
        sys.stdout.flush()
    except MassError as error:
        print(f"{script}: error: {error}", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        print(f"{chr(10) * sys.stderr.isatty()}{message(script, signal.SIGINT)}", file=sys.stderr)  # on its own line
        code = 130
    except Stopped as stopped:
        print(message(script, stopped.code - 128), file=sys.stderr)
        code = stopped.code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"{script}: error: {where}{error.strerror or error}", file=sys.stderr)
        code = 1
    finally:
        remove_unfinished()
    if stopping() is not None and "mindspore" in sys.modules:
        _end_at_once(code)
    sys.exit(code)


def _end_at_once(code: int) -> None:
    """End a process that a signal has stopped, without the clean-up of MindSpore.

    While ranks connect, that clean-up waits up to two minutes for ranks that have ended too.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _unless_stopped(main: Callable[[], int | None]) -> int | None:
    """Call `main`; after a signal raise `Stopped` or KeyboardInterrupt, even if it was lost or became another error."""
    try:
        return main()
    except (MassError, OSError):
        raise
    except Exception as error:
        if interrupted():
            raise KeyboardInterrupt from error
        raise
    finally:
        if (number := stopping()) is not None:
            raise Stopped(128 + number)
