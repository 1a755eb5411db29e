"""Starting a run as requested by the flags of run_cpu.sh, run_gpu.sh or run_ascend.sh."""
import importlib.util
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime

from src.common.errors import MassError
from src.common.files import make_output_folder
from src.common.written_files import errors_name
from src.launcher.options import parse, script_name
from src.launcher.plan import Plan, make_plan
from src.launcher.processes import STOPPED_CODES
from src.launcher.run_files import PidFile
from src.launcher.supervisor import supervise


def launch(device: str, arguments: Sequence[str], root: str, outputs: Mapping[str, str]) -> int:
    """Start a run on `device` and return its exit code.

    Args:
        device: one of DEVICES.
        arguments: the flags.
        root: the folder of the repository.
        outputs: the metrics of eval.py, the default first, and the name of the output file of each.

    Raises:
        MassError: a file or program is missing, or another run is active in the run folder.
    """
    options = parse(device, arguments, outputs)
    plan = make_plan(options, root)
    if options.dry_run:
        print("\n".join(plan.as_shell()))
        return 0
    _require_programs(plan, root)
    make_output_folder(plan.own_folder)
    pid_file = PidFile(plan.own_folder)
    stop = shlex.join(["sh", os.path.join(root, "scripts", "stop_training.sh"), plan.own_folder])
    if not pid_file.take():
        raise MassError(f"process {pid_file.active_pid()} runs in {plan.own_folder};\n  wait for it, stop it: {stop}\n"
                        f"  or choose another folder: --run_folder DIR")
    try:
        pid_file.write(os.getpid())
        if options.background:  # a full disk is noticed while somebody can be told
            with errors_name(plan.log), open(plan.log, "a", encoding="utf-8") as log:
                log.write(f"== {datetime.now():%Y-%m-%d %H:%M:%S} in the background\n")
    except OSError:
        pid_file.release()
        raise
    if not options.background:
        return _run(plan, pid_file, device, shown=True)
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        _leave_terminal(plan.log)
        return _run(plan, pid_file, device, shown=False)
    pid_file.write(pid)
    print(f"process {pid} runs in the background in {plan.own_folder}\n"
          f"follow the log: {shlex.join(['tail', '-f', plan.log])}\nstop it:        {stop}")
    return 0


def _run(plan: Plan, pid_file: PidFile, device: str, shown: bool) -> int:
    try:
        result = supervise(plan, shown)
        if result.message:
            kind = "" if result.code in STOPPED_CODES else "error: "
            message = f"{script_name(device)}: {kind}{result.message}\n"
            message += _append(plan.log, message)
            if shown:
                sys.stderr.write(message)
        return result.code
    finally:
        pid_file.release()


def _append(log: str, message: str) -> str:
    """Append a message to the log; return a line that says why, if that is not possible."""
    try:
        with open(log, "ab") as stream:
            stream.write(message.encode(errors="surrogateescape"))  # paths need not be UTF-8
    except OSError as error:
        return f"{log} cannot be written: {error.strerror}\n"
    return ""


def _leave_terminal(log: str) -> None:
    """Detach this process from the terminal; any output of its own (there should be none) goes to the log."""
    os.setsid()
    with open(os.devnull, "rb") as nothing, open(log, "ab") as output:
        os.dup2(nothing.fileno(), 0)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)


def _require_programs(plan: Plan, root: str) -> None:
    """Raise a MassError for a Python without MindSpore, or one that msrun would not find."""
    remedy = f"set one up with: {shlex.join(['sh', os.path.join(root, 'scripts', 'setup_venv.sh')])}"
    if importlib.util.find_spec("mindspore") is None:
        raise MassError(f"{sys.executable} has no package mindspore; {remedy}")
    if plan.inherited:
        folder = os.path.dirname(sys.executable)
        for name in ("python", "msrun"):
            if not os.access(os.path.join(folder, name), os.X_OK):
                raise MassError(f"several ranks need 'python' and 'msrun' in one folder, but {folder} has no {name!r}; "
                                f"{remedy}")
