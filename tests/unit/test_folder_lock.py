"""Locks of folders: who holds one, what a dead process leaves, and folders that go away meanwhile."""
import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace

import pytest

from src.common.errors import MassError, UsageError
from src.common.folder_lock import LOCK_FILE, locked_folder, open_own_file, require_in_place
from src.common.processes import ProcessIdentity, host_name
from src.launcher import run_files
from src.launcher.run_files import PidFile
from tests.helpers.paths import ROOT
from tests.helpers.scripts import run_python

HOLD = """
import sys, time
from src.common.folder_lock import locked_folder
with locked_folder(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.readline()
"""
LOCK = "from src.common.errors import run\nfrom src.common.folder_lock import locked_folder\n" \
       "def main():\n    with locked_folder('run'): print('mine')\nrun(main)"


def hold(folder) -> subprocess.Popen:
    """Start a process that holds the lock of a folder until it reads a line or dies."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], cwd=ROOT, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def without_locks(*_: object) -> None:
    raise OSError(errno.ENOLCK, "No locks available")


def write_record(folder, owner: ProcessIdentity, host: str = "elsewhere") -> None:
    record = {"process": str(owner), "host": host, "program": "train.py", "since": "2026-01-02 03:04:05"}
    (folder / LOCK_FILE).write_text(json.dumps(record))


def test_a_second_process_is_refused_until_the_first_has_ended(tmp_path):
    run = tmp_path / "run"
    process = hold(run)
    with pytest.raises(MassError) as refused, locked_folder(str(run)):
        pass
    assert f"is in use by process {process.pid} (" in str(refused.value)
    process.communicate("\n")
    assert not run.exists(), "a folder that was made for nothing is removed"
    with locked_folder(str(run)):
        assert os.listdir(run) == [LOCK_FILE]
    assert not run.exists()


def test_a_killed_process_does_not_block(tmp_path):
    process = hold(tmp_path)
    process.kill()
    process.wait()
    assert os.listdir(tmp_path) == [LOCK_FILE]
    with locked_folder(str(tmp_path)):
        pass
    assert os.listdir(tmp_path) == []


def test_a_process_may_lock_its_folder_again(tmp_path):
    with locked_folder(str(tmp_path)):
        with locked_folder(f"{tmp_path}/"):
            pass
        assert os.listdir(tmp_path) == [LOCK_FILE]
    assert os.listdir(tmp_path) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError), locked_folder(str(tmp_path / "file")):
        pass


def test_one_of_many_that_start_at_once_gets_the_folder(tmp_path):
    """Each that gets it makes a folder that only one can make."""
    code = ("import sys, time, os\nfrom src.common.errors import MassError\n"
            "from src.common.folder_lock import locked_folder\n"
            "try:\n    with locked_folder('run'):\n        os.mkdir('alone'); time.sleep(0.3); os.rmdir('alone')\n"
            "    print('done')\nexcept MassError: print('refused')")
    command = [sys.executable, "-c", code]
    several = [subprocess.Popen(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    ends = [process.communicate(timeout=60) for process in several]
    assert {printed for printed, _ in ends} <= {"done\n", "refused\n"} and ("done\n", "") in ends, ends
    assert not (tmp_path / "run" / LOCK_FILE).exists() and not (tmp_path / "alone").exists()


@pytest.mark.parametrize(("change", "blocks"), [
    ({}, True),  # alive
    ({"started": "1"}, False),  # its process id is used by another process now
    ({"boot": "0" * 31 + "1"}, True),  # of another machine: nobody here knows
    ({"namespace": "1", "started": "1"}, True),  # of another container
    ({"boot": "0"}, True),
])
def test_without_locks_of_the_file_system_the_record_decides(tmp_path, monkeypatch, change, blocks):
    monkeypatch.setattr(fcntl, "flock", without_locks)
    owner = replace(ProcessIdentity.own(), pid=os.getppid(), started=start_of(os.getppid()))
    write_record(tmp_path, replace(owner, **change))
    with ExitStack() as stack:
        if blocks:
            stack.enter_context(pytest.raises(MassError, match=f"in use by process {owner.pid}"))
        stack.enter_context(locked_folder(str(tmp_path)))
    assert (tmp_path / LOCK_FILE).exists() == blocks


@pytest.mark.parametrize(("program", "active"), [("launch.py", True), ("another program", False), ("", False)])
def test_without_locks_of_the_file_system_the_process_id_decides(tmp_path, monkeypatch, program, active):
    """A launcher that runs is not displaced; a process id that another program has now is."""
    monkeypatch.setattr(fcntl, "flock", without_locks)
    monkeypatch.setattr(run_files, "command_line", lambda pid: f"python {program}" if pid == 17 else "")
    (tmp_path / "pid").write_text("17\n" if program else "")
    assert PidFile(str(tmp_path)).active_pid() == (17 if active else None)
    assert PidFile(str(tmp_path)).take() == (not active)


def start_of(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as stream:
        return stream.read().rpartition(")")[2].split()[19]


def test_the_message_names_a_machine_that_is_not_this_one(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", without_locks)
    write_record(tmp_path, ProcessIdentity("a" * 32, "4", 17, "5"), host="gpu-1")
    with pytest.raises(MassError, match=r"process 17 on gpu-1 \(train.py, since 2026-01-02 03:04:05\)"), \
            locked_folder(str(tmp_path)):
        pass


@pytest.mark.parametrize("content", ["", "{", "[" * 4000, "7", '{"process": 7}', '{"process": "x", "host": null}',
                                     "\xff", "7" * 4090])
def test_a_damaged_record_of_nobody_does_not_block(tmp_path, content):
    (tmp_path / LOCK_FILE).write_text(content, encoding="latin-1")
    with locked_folder(str(tmp_path)):
        assert json.loads((tmp_path / LOCK_FILE).read_text())["host"] == host_name()


def test_links_and_pipes_are_not_written_to(tmp_path):
    victim, folder = tmp_path / "victim", tmp_path / "run"
    folder.mkdir()
    victim.write_text("precious")
    for name, take in ((LOCK_FILE, lambda: locked_folder(str(folder)).__enter__()),
                       ("pid", PidFile(str(folder)).take), ("pid", PidFile(str(folder)).active_pid)):
        for make in (os.symlink, os.link, lambda _, path: os.mkfifo(path), lambda _, path: os.mkdir(path)):
            make(victim, folder / name)
            with pytest.raises(MassError, match="is a link or no regular file"):
                take()
            shutil.rmtree(folder)
            folder.mkdir()
    (folder / "pid").symlink_to(tmp_path / "new")
    with pytest.raises(MassError):
        PidFile(str(folder)).take()
    assert victim.read_text() == "precious" and not (tmp_path / "new").exists()
    with pytest.raises(FileNotFoundError):
        open_own_file(str(tmp_path / "new"), os.O_RDONLY)


@pytest.mark.parametrize("lose", [
    lambda run: shutil.rmtree(run), lambda run: run.rename(run.with_name("moved")),
    lambda run: (shutil.rmtree(run), run.mkdir()), lambda run: (run.rename(run.with_name("moved")), run.mkdir()),
])
def test_a_folder_that_is_lost_is_noticed(tmp_path, lose):
    run = tmp_path / "run"
    with locked_folder(str(run)):
        require_in_place(str(run))
        lose(run)
        with pytest.raises(MassError, match="was deleted, renamed or replaced"):
            require_in_place(str(run))
    require_in_place(str(run))
    assert not list(tmp_path.glob(f"*/{LOCK_FILE}"))


def test_identities():
    own = ProcessIdentity.own()
    assert ProcessIdentity.parse(str(own)) == own and own.is_on_this_machine() and not own.is_certainly_dead()
    assert all(ProcessIdentity.parse(text) is None for text in ("", "a-b", f"{own}-1", "1-2-3-4", f"{own}\n"))
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    one = replace(own, pid=process.pid, started=start_of(process.pid))
    process.stdout.read()
    until = time.monotonic() + 60
    while not one.is_certainly_dead() and time.monotonic() < until:  # it is a zombie, which still has its id
        time.sleep(0.01)
    assert one.is_certainly_dead() and process.wait() == 0 and one.is_certainly_dead()
    huge = replace(own, pid=10**19)
    assert not huge.is_certainly_dead() and not replace(own, pid=0).is_certainly_dead()


@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare makes a PID namespace")
def test_another_pid_namespace_with_the_same_host_name(tmp_path):
    """The holder is in a container: its process id means nothing here, but its lock does."""
    begin = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*begin, "true"], capture_output=True).returncode:
        pytest.skip("this system permits no namespaces")
    process = subprocess.Popen([*begin, sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT, text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == "held\n"
    with pytest.raises(MassError, match=f"in use by process [0-9]+ on {host_name()}"), locked_folder(str(tmp_path)):
        pass
    process.communicate("\n")
    with locked_folder(str(tmp_path)):
        pass


def test_the_sentence_and_the_exit_code(tmp_path):
    process = hold(tmp_path / "run")
    printed = run_python(LOCK, code=1, cwd=tmp_path).stderr
    assert printed.startswith(f"-c: error: 'run' is in use by process {process.pid} (") and printed.count("\n") == 1
    assert printed.endswith("wait until that has ended, stop it, or choose another folder\n")
    process.communicate("\n")
