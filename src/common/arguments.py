"""The command-line parser of all programs, and the flags that all steps of data preparation share."""
import math
import os
import re
from argparse import (
    Action,
    ArgumentDefaultsHelpFormatter,
    ArgumentParser,
    ArgumentTypeError,
    Namespace,
    RawDescriptionHelpFormatter,
)
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from src.common.errors import UsageError
from src.common.parallel import require_processes

DECODING_ERRORS = ("strict", "replace")


class HelpFormatter(RawDescriptionHelpFormatter, ArgumentDefaultsHelpFormatter):
    """Keeps the line breaks of the description and appends the default value to the help of each flag that has one."""

    def _get_help_string(self, action: Action) -> str | None:
        has_no_default = action.default in (None, "", []) or action.default is False  # 0 is a default worth showing
        return action.help if has_no_default else super()._get_help_string(action)


class CommandLineParser(ArgumentParser):
    """An argument parser that refuses values which argparse accepts, but no program of this repository can use.

    A flag without a `type` takes a text that is not empty and has no NUL byte; give `type=str` to a flag that may be
    empty. `type=int` takes a whole number of at most 9 digits, and `type=float` a finite number. Use `whole_number` for
    a smaller range.
    """

    def __init__(self, *arguments, formatter_class: type = HelpFormatter, **options):
        super().__init__(*arguments, formatter_class=formatter_class, **options)
        for kind, read in ((None, not_empty), (int, whole_number(-MAX_NUMBER)), (float, finite_number)):
            self.register("type", kind, read)


MAX_NUMBER = 999_999_999
"""The largest whole number that a flag takes unless it has a limit of its own."""


def not_empty(text: str) -> str:
    """Return the value of a flag, which may be any text that is not empty."""
    if not text or "\0" in text:
        raise ArgumentTypeError("the value has a NUL byte" if text else "the value is empty")
    return text


def part_of_name(text: str) -> str:
    """Return the value of a flag that becomes a part of the names of files, and may be empty."""
    if "/" in text or "\0" in text:
        raise ArgumentTypeError(f"{text[:40]!r} must be a part of a file name, without '/'")
    return text


def whole_number(minimum: int = 0, maximum: int = MAX_NUMBER) -> Callable[[str], int]:
    """Return the `type` of a flag whose value is a whole number in a range, both ends included."""
    def read(text: str) -> int:
        if not re.fullmatch("-?[0-9]{1,9}", text, re.ASCII) or not minimum <= int(text) <= maximum:
            shown = text if len(text) <= 40 else text[:40] + "..."
            raise ArgumentTypeError(f"{shown!r} is not allowed; allowed are whole numbers from {minimum} to {maximum}")
        return int(text)

    return read


def split_paths(text: str, what: str) -> list[str]:
    """Return the paths of a list that is separated by commas; there is none if the text has only commas and spaces.

    A text that is the path of a file or folder, in whose name is a comma, is one path.

    Args:
        what: the role of the list in the message, such as a flag.

    Raises:
        UsageError: one of several items is empty: it comes from a variable that is not set, and would be left out.
    """
    if os.path.exists(text):
        return [text]
    items = [item.strip() for item in text.split(",")]
    if any(items) and not all(items):
        raise UsageError(f"{what} {text!r}: an item of the list is empty; is a variable not set?")
    return [item for item in items if item]


def finite_number(text: str) -> float:
    """Return the value of a flag that is a number, but not infinite and not NaN."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ArgumentTypeError(f"{text[:40]!r} is not a number")
    return value


@dataclass(frozen=True)
class RunOptions:
    """How a step of data preparation runs. For valid UTF-8 text, the output does not depend on these options."""

    processes: int = 1
    errors: str = "strict"  # undecodable bytes: "strict" raises an error, "replace" makes them U+FFFD
    overwrite: bool = False  # recreate outputs that are up to date
    quiet: bool = False  # print totals only


def add_run_flags(parser: ArgumentParser, processes_flags: Sequence[str] = ("--processes",),
                  processes: int = 2) -> None:
    """Add the flags of `RunOptions` to a parser, in their own group.

    Args:
        processes_flags: the flag for the number of processes, and its aliases.
        processes: its default value.
    """
    group = parser.add_argument_group("execution")
    group.add_argument(*processes_flags, dest="processes", metavar="N", type=int, default=processes,
                       help="number of processes; the output does not depend on it")
    group.add_argument("--errors", choices=DECODING_ERRORS, default="strict",
                       help="how to treat bytes that are not UTF-8: strict reports file and line and stops, replace "
                            "reads them as U+FFFD and counts the affected lines")
    group.add_argument("--overwrite", action="store_true",
                       help="recreate all outputs; by default, outputs of an earlier run are kept if neither their "
                            "inputs nor the settings have changed")
    group.add_argument("--quiet", action="store_true", help="print the totals only: no progress, no line per file")


def run_options(arguments: Namespace, processes_flag: str = "--processes") -> RunOptions:
    """Return the options given on the command line.

    Args:
        processes_flag: the name of the flag for the number of processes in error messages.

    Raises:
        UsageError: the number of processes is less than 1.
    """
    require_processes(arguments.processes, processes_flag)
    return RunOptions(arguments.processes, arguments.errors, arguments.overwrite, arguments.quiet)
