"""How the entry scripts show their flags, and the flags that all steps of data preparation share."""
from argparse import Action, ArgumentDefaultsHelpFormatter, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from dataclasses import dataclass

from src.common.parallel import require_processes

DECODING_ERRORS = ("strict", "replace")


class HelpFormatter(RawDescriptionHelpFormatter, ArgumentDefaultsHelpFormatter):
    """Keeps the description as it is written, and adds the default to the help of each flag that has one."""

    def _get_help_string(self, action: Action) -> str | None:
        without = action.default in (None, "") or action.default is False  # a default of 0 is shown
        return action.help if without else super()._get_help_string(action)


@dataclass(frozen=True)
class RunOptions:
    """How a step of data preparation runs. None of it changes the output of text that is clean UTF-8."""

    processes: int = 1
    errors: str = "strict"  # undecodable bytes: "strict" stops, "replace" makes them U+FFFD and counts the lines
    overwrite: bool = False  # also files that an earlier run finished and whose inputs are unchanged
    quiet: bool = False


def add_run_flags(parser: ArgumentParser, processes_flag: str = "--processes", processes: int = 2) -> None:
    """Add the flags behind `RunOptions`, in a group of their own; `processes` is the default of `processes_flag`."""
    group = parser.add_argument_group("how it runs")
    group.add_argument(processes_flag, dest="processes", metavar="N", type=int, default=processes,
                       help="number of processes; the output is the same for any number")
    group.add_argument("--errors", choices=DECODING_ERRORS, default="strict",
                       help="undecodable bytes: strict stops with file and line, replace makes them U+FFFD and "
                            "counts the lines")
    group.add_argument("--overwrite", action="store_true",
                       help="make everything anew; otherwise what an earlier run finished is skipped, unless its "
                            "inputs or the settings have changed")
    group.add_argument("--quiet", action="store_true", help="no progress and no line for each file: only the totals")


def run_options(arguments: Namespace, processes_flag: str = "--processes") -> RunOptions:
    """The options given on the command line. Raises UsageError for fewer than one process."""
    require_processes(arguments.processes, processes_flag)
    return RunOptions(arguments.processes, arguments.errors, arguments.overwrite, arguments.quiet)
