"""Helpers of the tests of the launchers: a repository with replacement programs, starting scripts, waiting."""
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.helpers.paths import ROOT
from tests.helpers.scripts import run_script, start_script

LAUNCHERS = ["run_cpu.sh", "run_gpu.sh", "run_ascend.sh"]
ALL_DEVICES = {"CUDA_VISIBLE_DEVICES": None, "ASCEND_RT_VISIBLE_DEVICES": None}  # unset

# Replaces train.py and eval.py: prints its arguments, exits or waits as a test requests; ends gracefully on a signal.
PROGRAM = """
import json, os, signal, sys, time

def stop(signum, frame):
    time.sleep(float(os.environ.get("TEST_SAVING", "0")) * (os.environ.get("RANK_ID", "0") == "0"))
    print("saved")
    sys.exit(128 + signum)

signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
names = ("MS_", "OMP_NUM_", "RANK_", "DEVICE_ID", "CUDA_", "ASCEND_RT_")
print("environment", json.dumps({name: value for name, value in os.environ.items() if name.startswith(names)}))
print("arguments", json.dumps(sys.argv[1:]))
print("to stderr", file=sys.stderr)
for i in range(int(os.environ.get("TEST_LINES", "0"))):
    print("line", i)
print("ready")
code, rank = int(os.environ.get("TEST_EXIT_CODE", "0")), os.environ.get("TEST_FAILING_RANK")
if rank is None or rank != os.environ["RANK_ID"]:
    end = time.monotonic() + float(os.environ.get("TEST_SECONDS", "0"))
    while time.monotonic() < end:  # a signal just before a long sleep would not end it
        time.sleep(min(0.2, max(0.0, end - time.monotonic())))
sys.exit(code if rank in (None, os.environ.get("RANK_ID")) else 0)
"""

Place = tuple[Path, Path]


def make_place(folder: Path) -> Place:
    """Create a repository with replacement programs and a working folder, both with spaces in their paths."""
    repository, work = folder / "the repository", folder / "my work"
    shutil.copytree(ROOT / "scripts", repository / "scripts")
    for package in ("config", "recipes", "src"):
        shutil.copytree(ROOT / package, repository / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "launch.py", repository)
    work.mkdir()
    for name in ("train.py", "eval.py"):
        (repository / name).write_text(PROGRAM)
    for name in ("my config.json", "vocabulary.bin"):
        (work / name).write_text("{}")
    return repository, work


def run_launcher(place: Place, script: str, *arguments: object, code: int | None = None,
                 **environment: str | None) -> subprocess.CompletedProcess[str]:
    """Run a shell script of the place's repository to its end, in the place's working folder."""
    return run_script(f"scripts/{script}", *arguments, code=code, root=place[0], cwd=place[1],
                      environment={**ALL_DEVICES, **environment})


def start_launcher(place: Place, script: str, *arguments: object, stdout: int = subprocess.DEVNULL,
                   **environment: str | None) -> subprocess.Popen[str]:
    """Start a shell script of the place's repository; its program runs for TEST_SECONDS, 60 by default."""
    return start_script(f"scripts/{script}", *arguments, root=place[0], cwd=place[1], stdout=stdout,
                        stderr=subprocess.DEVNULL, environment={**ALL_DEVICES, "TEST_SECONDS": "60", **environment})


def arguments_seen(log: str) -> list[str]:
    """Return the arguments of the last run of the replacement program in a log."""
    return _seen(log, "arguments ")


def environment_seen(log: str) -> dict[str, str]:
    """Return the variables that distinguish ranks in the last run of the replacement program in a log."""
    return _seen(log, "environment ")


def _seen(log: str, mark: str):
    lines = [line for line in log.splitlines() if line.startswith(mark)]
    return json.loads(lines[-1].removeprefix(mark))


def wait_until(condition: Callable[[], object], seconds: float = 300) -> None:
    """Wait for a condition; the limit is generous because the machine may be busy."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition was not met in time"
        time.sleep(0.05)


def process_state(pid: int) -> str:
    """Return the command line of a process; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
