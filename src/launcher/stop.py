"""Stop one run: what scripts/stop_training.sh does."""
import argparse
import glob
import os
import signal
import time
from collections.abc import Sequence

from src.common.errors import MassError, UsageError
from src.launcher.run_files import PROGRAM, PidFile, command_line

PATIENCE = 150
"""Seconds that a run may take to end after it was asked to: a step, a checkpoint, the other ranks."""


def stop(arguments: Sequence[str]) -> int:
    """Ask the launcher of a run to stop all its ranks, and wait until they have ended.

    Raises:
        MassError: no run lives there, or it does not end in time.
        UsageError: several live and none was named.
    """
    parser = argparse.ArgumentParser(
        prog="sh stop_training.sh", allow_abbrev=False,
        description="Stop the run whose run folder is DIR, and no other process. The training ends its step, saves a "
                    "checkpoint and exits with code 143; go on later with --resume.")
    parser.add_argument("folder", nargs="?", metavar="DIR",
                        help="train_mass_* (default: the one of this folder's train_mass_* that has a live run)")
    given = parser.parse_args(arguments).folder
    if given is not None and not os.path.isdir(given):
        raise MassError(f"there is no folder {given!r} in {os.getcwd()}")
    runs = _live_runs([given] if given is not None else glob.glob("train_mass_*"))
    if not runs:
        raise MassError(f"no training runs in {os.path.realpath(given or 'train_mass_*')}"
                        f"{'' if given else '; give its folder'}")
    if len(runs) > 1:
        raise UsageError("several trainings run; name one of them:" + "".join(f"\n  {folder}" for folder in runs))
    [(folder, pid)] = runs.items()
    print(f"stopping process {pid}, the run in {folder}", flush=True)
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + PATIENCE
    while PROGRAM in command_line(pid):  # it removes its pid file before it has ended
        if time.monotonic() > until:
            raise MassError(f"it still runs after {PATIENCE} seconds; see {folder}/log.txt, or kill it: kill -9 {pid}")
        time.sleep(0.2)
    print("stopped")
    return 0


def _live_runs(folders: Sequence[str]) -> dict[str, int]:
    """The launchers that live on this machine, by their folder; those of further machines are in node_*/."""
    found = {}
    for folder in sorted(folders):
        for own in [folder, *sorted(glob.glob(os.path.join(glob.escape(folder), "node_*")))]:
            if (pid := PidFile(own).live_pid()) is not None:
                found[os.path.realpath(own)] = pid
    return found
