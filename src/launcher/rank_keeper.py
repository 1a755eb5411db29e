"""One rank of a run: a process between msrun and train.py.

It is there for what msrun does not do. A SIGTERM ends msrun without its telling the workers. Within a second after a
worker has ended with another exit code than 0, msrun kills all others, even if that worker was asked to stop and
rank 0 still writes its checkpoint. And it does not tell which rank died of what.
"""
import os
import signal
import sys
from collections.abc import Sequence
from datetime import datetime

from src.launcher.processes import STOPPED_CODES, end_with_parent, exit_code, start
from src.launcher.run_files import SCHEDULER, RankFiles


def keep_rank(ranks_folder: str, program: Sequence[str]) -> int:
    """Run `program` as the rank that the environment names; note how it ends; return the exit code for msrun.

    SIGTERM and SIGINT are passed on, and so is the death of the parent (as SIGTERM). A program that has stopped because
    it was asked to counts as successful, so that the other ranks get the time to stop too.
    """
    files = RankFiles(ranks_folder)
    if os.environ.get("MS_ROLE") == "MS_SCHED":
        return _schedule(files)
    end_with_parent(signal.SIGTERM)
    rank, child, waiting = os.environ["RANK_ID"], None, []

    def pass_on(signum: int, _frame: object) -> None:
        if child is None:
            waiting.append(signum)
        else:
            child.send_signal(signum)

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, pass_on)
    files.write_keeper(rank, os.getpid())
    with open(files.log(rank), "ab") as log:
        now = f"{datetime.now():%Y-%m-%d %H:%M:%S}"
        log.write(f"== {now} rank {rank} of {os.environ['RANK_SIZE']}: {' '.join(program)}\n".encode())
        log.flush()
        child = start([sys.executable, *program], log, end_with=signal.SIGKILL, new_session=False)
    for signum in waiting:
        child.send_signal(signum)
    code = exit_code(child)
    files.write_ending(rank, code)
    return 0 if code in STOPPED_CODES else code


def _schedule(files: RankFiles) -> int:
    """Bring the ranks together, as the process msrun calls the scheduler; returns when all of them have ended.

    It needs no more of a training than this one call, which the CPU serves whatever the ranks run on.
    """
    code = 1
    try:
        import mindspore
        from mindspore.communication import init

        mindspore.set_device("CPU")
        init()
        code = 0
    finally:
        files.write_ending(SCHEDULER, code)
    return code
