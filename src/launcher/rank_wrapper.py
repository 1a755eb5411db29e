"""The wrapper of a rank: a process between msrun and train.py.

It adds what msrun lacks: msrun ends on SIGTERM without forwarding it to the workers. When a worker ends with a nonzero
exit code, msrun kills all others within a second, even if the worker was asked to stop and rank 0 is still writing its
checkpoint. And it does not report which rank failed, and why.
"""
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime

from src.common.processes import end_with_parent
from src.common.written_files import errors_name
from src.launcher.processes import STOPPED_CODES, exit_code, send_signal, start
from src.launcher.run_files import SCHEDULER, RankFiles


def run_rank(ranks_folder: str, program: Sequence[str]) -> int:
    """Run `program` as the rank given by the environment, record its exit code, and return the exit code for msrun.

    SIGTERM and SIGINT are forwarded to the program, and the death of the parent is forwarded as SIGTERM. A program that
    was asked to stop counts as successful, so that msrun gives the other ranks time to stop too.
    """
    files = RankFiles(ranks_folder)
    if os.environ.get("MS_ROLE") == "MS_SCHED":
        return _run_scheduler(files)
    end_with_parent(signal.SIGTERM)
    rank, child, pending = os.environ["RANK_ID"], None, []

    def forward(signum: int, _frame: object) -> None:
        if child is None:
            pending.append(signum)
        else:
            _pass_on(signum, child)

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, forward)
    files.write_wrapper(rank, os.getpid())
    code = 1
    try:
        child = _start(rank, program, files.log(rank))
        for signum in pending:
            _pass_on(signum, child)
        code = exit_code(child)
    finally:
        files.write_ending(rank, code)
    return 0 if code in STOPPED_CODES else code


def _start(rank: str, program: Sequence[str], path: str) -> subprocess.Popen:
    with errors_name(path), open(path, "ab") as log:
        now = f"{datetime.now():%Y-%m-%d %H:%M:%S}"
        header = f"== {now} rank {rank} of {os.environ['RANK_SIZE']}: {' '.join(program)}\n"
        log.write(header.encode(errors="surrogateescape"))  # paths need not be UTF-8
        log.flush()
        return start([sys.executable, *program], log, end_with=signal.SIGKILL, new_session=False)


def _pass_on(signum: int, child: subprocess.Popen) -> None:
    if child.returncode is None:  # otherwise its process id may be that of another process
        send_signal(child.pid, signum)


def _run_scheduler(files: RankFiles) -> int:
    """Run msrun's scheduler, which connects the ranks; return when all of them have ended.

    This one call is all that it needs of a training. It runs on the CPU, whatever device the ranks use.
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
