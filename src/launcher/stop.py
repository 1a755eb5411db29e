"""Stopping a run, for scripts/stop_training.sh."""
import glob
import os
import signal
import time
from collections.abc import Sequence

from src.common.arguments import CommandLineParser
from src.common.errors import MassError, UsageError
from src.launcher.processes import send_signal
from src.launcher.run_files import PROGRAM, PidFile, command_line

STOP_TIMEOUT = 150
"""Seconds that a run may take to end: the current step, a checkpoint, the other ranks."""


def stop(arguments: Sequence[str]) -> int:
    """Ask the launcher of a run to stop all its ranks, and wait until they have ended.

    Raises:
        MassError: there is no active run, or it does not end in time.
        UsageError: there are several active runs and no folder is given.
    """
    parser = CommandLineParser(
        prog="sh stop_training.sh", allow_abbrev=False,
        description="Stop the run in the run folder DIR, and no other process. The training completes its step, saves "
                    "a checkpoint and exits with code 143; it can be resumed with --resume.")
    parser.add_argument("folder", nargs="?", metavar="DIR",
                        help="the run folder (default: the folder ./train_mass_* that has an active run)")
    given = parser.parse_args(arguments).folder
    if given is not None and not os.path.isdir(given):
        raise MassError(f"folder {given!r} does not exist (looked in {os.getcwd()})")
    runs = _active_runs([given] if given is not None else glob.glob("train_mass_*"))
    if not runs:
        raise MassError(f"no training is running in {os.path.realpath(given or 'train_mass_*')}"
                        f"{'' if given else '; give the run folder'}")
    if len(runs) > 1:
        folders = "".join(f"\n  {folder}" for folder in runs)
        raise UsageError(f"several trainings are running; give the folder of one of them:{folders}")
    [(folder, pid)] = runs.items()
    print(f"stopping process {pid}, the run in {folder}", flush=True)
    send_signal(pid, signal.SIGTERM)
    until = time.monotonic() + STOP_TIMEOUT
    while PROGRAM in command_line(pid):  # the pid file is removed before the process has ended
        if time.monotonic() > until:
            raise MassError(f"it is still running after {STOP_TIMEOUT} seconds; see {folder}/log.txt, or kill it with: "
                            f"kill -9 {pid}")
        time.sleep(0.2)
    print("stopped")
    return 0


def _active_runs(folders: Sequence[str]) -> dict[str, int]:
    """Return the process ids of active launchers of this machine by folder; node_*/ are folders of further machines."""
    found = {}
    for folder in sorted(folders):
        for own in [folder, *sorted(glob.glob(os.path.join(glob.escape(folder), "node_*")))]:
            if (pid := PidFile(own).active_pid()) is not None:
                found[os.path.realpath(own)] = pid
    return found
