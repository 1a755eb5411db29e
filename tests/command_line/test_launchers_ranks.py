"""Runs on several devices: the real msrun, replacements of train.py, and --dry_run for GPU and Ascend machines."""
import json
import os
import resource
import shlex
import signal
import subprocess
import sys
import time
from functools import partial

import psutil
import pytest

from src.common.errors import MassError
from src.common.processes import is_stopped
from src.launcher.plan import Command, Plan
from src.launcher.rank_table import read_rank_table
from src.launcher.run_files import RankFiles
from src.launcher.supervisor import supervise
from tests.helpers.launching import (
    arguments_seen,
    environment_seen,
    make_place,
    process_state,
    run_launcher,
    start_launcher,
    wait_until,
)
from tests.helpers.paths import ROOT
from tests.helpers.scripts import run_script

GOOD = ["-t", "t", "-c", "my config.json"]

# Replaces mindspore in the scheduler, so that no test waits for its import; it runs until it is killed.
SCHEDULER = {"__init__.py": "def set_device(name): pass", "communication.py": "import time\ndef init(): time.sleep(60)"}


@pytest.fixture
def place(tmp_path):
    return make_place(tmp_path)


@pytest.fixture
def ranks_place(place):
    """A repository whose scheduler is replaced too, as the tests of ranks do not need a real one."""
    package = place[0] / "mindspore"
    package.mkdir()
    for name, text in SCHEDULER.items():
        (package / name).write_text(text)
    return place


def dry_run(place, script, *arguments, **environment) -> tuple[list[tuple[dict[str, str], list[str]]], str]:
    """Return the commands that a dry run prints, as (environment, arguments), and its whole output."""
    done = run_launcher(place, script, *GOOD, *arguments, "--dry_run", **environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert not list(place[1].glob("train_mass_*")), "a dry run creates nothing"
    commands = []
    for line in done.stdout.splitlines():
        words = shlex.split(line.removesuffix(" &"), comments=True)
        if words and words[0] == "env":
            settings = [word for word in words[1:] if word.partition("=")[0].isupper() or word.startswith("PATH=")]
            count = next(i for i, word in enumerate(words[1:]) if "/" in word.partition("=")[0] or "=" not in word)
            commands.append((dict(word.split("=", 1) for word in settings[:count]), words[1 + count:]))
    return commands, done.stdout


def flags(arguments: list[str]) -> dict[str, str]:
    """Return the flags of an msrun command, up to the script that it starts."""
    return dict(word.removeprefix("--").split("=", 1) for word in arguments[1:10] if word.startswith("--"))


@pytest.mark.parametrize(("script", "variable", "folder"), [
    ("run_gpu.sh", "CUDA_VISIBLE_DEVICES", "gpu2-5"), ("run_ascend.sh", "ASCEND_RT_VISIBLE_DEVICES", "ascend2-5"),
])
def test_one_machine_with_msrun(place, script, variable, folder):
    [(environment, arguments)], text = dry_run(place, script, "-n", "4", "-i", "2")
    assert environment[variable] == "2,3,4,5"
    assert environment["PATH"].split(os.pathsep)[0] == os.path.dirname(sys.executable), "msrun calls plain `python`"
    assert os.path.basename(arguments[0]) == "msrun"
    seen = flags(arguments)
    assert (seen["worker_num"], seen["local_worker_num"], seen["node_rank"]) == ("4", "4", "0")
    assert (seen["master_addr"], seen["join"]) == ("127.0.0.1", "True")
    assert 1024 <= int(seen["master_port"]) <= 65535
    for rank in range(4):
        assert f"#   rank {rank}: " in text
        line = next(line for line in text.splitlines() if f"rank {rank}: " in line)
        assert f"RANK_ID={rank} DEVICE_ID={rank}" in line and "RANK_SIZE=4" in line and f"MS_NODE_ID={rank}" in line
    assert f"train_mass_{folder}" in text


def test_the_second_of_two_machines(place):
    [(_, arguments)], text = dry_run(place, "run_gpu.sh", "-n", "8", "--nodes", "2", "--node_rank", "1",
                                     "--master", "10.0.0.1:9000")
    seen = flags(arguments)
    assert (seen["worker_num"], seen["local_worker_num"], seen["node_rank"]) == ("16", "8", "1")
    assert (seen["master_addr"], seen["master_port"]) == ("10.0.0.1", "9000")
    assert "scheduler:" not in text, "the scheduler runs on the first machine"
    last = text.splitlines()[-1]
    assert "rank 15:" in last and "RANK_ID=15 DEVICE_ID=7" in last and "MS_SCHED_HOST=10.0.0.1" in last


def test_processes_on_the_cpu_share_the_cores(place):
    """Without a number of threads, msrun would give each process one."""
    cores = len(os.sched_getaffinity(0))
    machines = ["--nodes", "2", "--node_rank", "1", "--master", "host"]
    for count, arguments in ((1, machines), (2, []), (16, [])):
        [(environment, _)], _ = dry_run(place, "run_cpu.sh", "-n", count, *arguments, OMP_NUM_THREADS=None)
        assert environment["OMP_NUM_THREADS"] == str(max(1, cores // count))
    [(environment, _)], _ = dry_run(place, "run_cpu.sh", "-n", "2", OMP_NUM_THREADS="3")
    assert "OMP_NUM_THREADS" not in environment, "the processes inherit it"


def test_machines_use_the_same_port_by_default(place):
    ports = {flags(dry_run(place, "run_cpu.sh", "--nodes", "2", "--node_rank", rank, "--master", "host")[0][0][1])
             ["master_port"] for rank in ("0", "1")}
    assert ports == {"8118"}


def test_devices_are_counted_among_the_visible_ones(place):
    [(environment, _)], _ = dry_run(place, "run_gpu.sh", "-n", "2", "-i", "1", CUDA_VISIBLE_DEVICES="7,5,3,GPU-8a")
    assert environment["CUDA_VISIBLE_DEVICES"] == "5,3"
    done = run_launcher(place, "run_gpu.sh", *GOOD, "-n", "3", "--dry_run", CUDA_VISIBLE_DEVICES="4,5")
    assert done.returncode == 2 and "CUDA_VISIBLE_DEVICES, which has 2: 4,5" in done.stderr


def table(*machines: list[tuple[int, int]], **changes) -> dict:
    """Return a rank table; each machine is a list of (device id, rank id)."""
    servers = [{"server_id": f"10.0.0.{i}", "device": [{"device_id": str(device), "device_ip": f"192.1.27.{device}",
                                                       "rank_id": str(rank)} for device, rank in devices]}
               for i, devices in enumerate(machines)]
    return {"version": "1.0", "server_count": str(len(machines)), "server_list": servers, "status": "completed",
            **changes}


def test_ascend_by_rank_table(place):
    path = place[1] / "rank table.json"
    path.write_text(json.dumps(table([(4, 0), (5, 1), (6, 2)])))
    commands, text = dry_run(place, "run_ascend.sh", "-n", "3", "-j", "rank table.json")
    for rank, (environment, arguments) in enumerate(commands):
        assert environment == {"RANK_TABLE_FILE": str(path.resolve()), "RANK_SIZE": "3", "RANK_ID": str(rank),
                               "DEVICE_ID": str(4 + rank), "PYTHONUNBUFFERED": "1"}
        assert arguments[0] == sys.executable and "msrun" not in " ".join(arguments)
    assert len(commands) == 3 and "train_mass_ascend4-6" in text


def test_the_second_machine_of_a_rank_table(place):
    (place[1] / "table.json").write_text(json.dumps(table([(0, 0), (1, 1)], [(0, 2), (1, 3)])))
    commands, _ = dry_run(place, "run_ascend.sh", "-n", "2", "-j", "table.json", "--nodes", "2", "--node_rank", "1")
    assert [(e["RANK_ID"], e["DEVICE_ID"], e["RANK_SIZE"]) for e, _ in commands] == [("2", "0", "4"), ("3", "1", "4")]


@pytest.mark.parametrize(("arguments", "message"), [
    (["-n", "4"], "server_list[0] has 2 devices, but -n is 4"),
    (["-n", "2", "--nodes", "2", "--node_rank", "0"], "has 1 machines, but --nodes is 2"),
    (["-n", "2", "-i", "1"], "-i and -j exclude each other"),
])
def test_a_rank_table_that_contradicts_the_flags_starts_nothing(place, arguments, message):
    (place[1] / "table.json").write_text(json.dumps(table([(0, 0), (1, 1)])))
    done = run_launcher(place, "run_ascend.sh", *GOOD, "-j", "table.json", *arguments)
    assert done.returncode in (1, 2) and message in done.stderr
    assert not list(place[1].glob("train_mass_*"))


@pytest.mark.parametrize(("content", "message"), [
    ("{", "not JSON"),
    ([], "no 'server_list'"),
    ({"group_list": []}, "no 'server_list'"),
    (table([(0, 0)], server_count="2"), "'server_count' is 2, but 'server_list' has 1"),
    (table([(0, 0)], status="initializing"), "'initializing', not 'completed'"),
    (table([]), "server_list[0] has no list 'device'"),
    (table([(0, 0), (1, 0)]), "the rank ids are 0, 0; they must be 0 to 1 without duplicates"),
    (table([(0, 1), (1, 2)]), "the rank ids are 1, 2"),
    (table([(3, 0), (3, 1)]), "the device ids are 3, 3"),
    (table([("x", 0)]), "server_list[0].device[0]: 'device_id' is 'x'"),
])
def test_a_rank_table_is_checked(tmp_path, content, message):
    path = tmp_path / "table.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(MassError) as caught:
        read_rank_table(str(path))
    assert message in str(caught.value) and str(path) in str(caught.value)


def test_msrun_sets_what_the_dry_run_says(ranks_place):
    """The variables in the output of the dry run are compared with those that msrun sets for two processes.

    Besides, importing MindSpore sets the number of threads to 1, which the processes inherit.
    """
    _, text = dry_run(ranks_place, "run_gpu.sh", "-n", "2", "-i", "4")
    done = run_launcher(ranks_place, "run_gpu.sh", *GOOD, "-n", "2", "-i", "4", OMP_NUM_THREADS=None)
    assert done.returncode == 0, done.stderr
    folder = ranks_place[1] / "train_mass_gpu4-5"
    for rank in range(2):
        line = next(line for line in text.splitlines() if f"rank {rank}: " in line)
        printed = dict(word.split("=", 1) for word in line.partition(f"rank {rank}: ")[2].split())
        printed |= {"CUDA_VISIBLE_DEVICES": "4,5", "OMP_NUM_THREADS": "1"}
        seen = environment_seen((folder / f"ranks/rank_{rank}.log").read_text())
        port = "MS_SCHED_PORT"  # a free port is chosen each time
        assert printed.pop(port) != seen.pop(port)
        assert seen == printed
    assert arguments_seen(done.stdout)[-1] == "training_config.device_target=GPU"
    assert (folder / "log.txt").read_text() == done.stdout
    assert "rank 0 of 2" in done.stdout and "rank 1 of 2" not in done.stdout, "the output of rank 0 is shown"


def rank_processes(place) -> list[str]:
    """Return the command lines of all processes of the runs of this test."""
    listing = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listing.splitlines() if str(place[0]) in line]


@pytest.mark.parametrize("method", ["msrun", "rank table"])
def test_stopping_gives_every_rank_the_time_to_save(ranks_place, method):
    """Rank 0 takes seconds to save; without the wrappers, msrun would kill it as soon as rank 1 has ended."""
    (ranks_place[1] / "table.json").write_text(json.dumps(table([(0, 0), (1, 1)])))
    command = ["run_cpu.sh"] if method == "msrun" else ["run_ascend.sh", "-j", "table.json"]
    process = start_launcher(ranks_place, command[0], *GOOD, "-n", "2", *command[1:], TEST_SAVING="3")
    folder = ranks_place[1] / ("train_mass_cpu" if method == "msrun" else "train_mass_ascend0-1")
    try:
        wait_until(lambda: all("ready" in read(folder / f"ranks/rank_{rank}.log") for rank in range(2)))
        stopped = run_launcher(ranks_place, "stop_training.sh")
        assert stopped.returncode == 0, stopped.stderr
        assert process.wait(30) == 143
        for rank in range(2):
            assert "saved" in read(folder / f"ranks/rank_{rank}.log")
        assert "saved" in read(folder / "log.txt")
        assert not rank_processes(ranks_place), "no process of the run is left"
    finally:
        process.kill()


@pytest.mark.parametrize("unseen", range(1, 6))
def test_a_wrapper_may_start_at_any_moment(tmp_path, monkeypatch, unseen):
    """The supervisor finds its file at its `unseen`-th reading; a wrapper that was not there before has not ended."""
    ranks, program, end = tmp_path / "ranks", tmp_path / "program.py", tmp_path / "end"
    program.write_text(f"import os, time\nwhile not os.path.exists({str(end)!r}): time.sleep(0.05)\n")
    command = Command((sys.executable, str(ROOT / "launch.py"), "rank", str(ranks), str(program)),
                      {"RANK_ID": "0", "RANK_SIZE": "1"}, str(ranks / "rank_0.log"))
    reads, read_file = [], RankFiles.wrapper

    def late(files: RankFiles, rank: int) -> int | None:
        pid = read_file(files, rank)
        reads.extend([pid] if pid else [])
        if len(reads) > unseen + 3:
            end.touch()
        return pid if len(reads) >= unseen else None

    monkeypatch.setattr(RankFiles, "wrapper", late)
    assert supervise(Plan(str(tmp_path), str(tmp_path), (0,), 1, (command,), ()), shown=False) == (0, "")


@pytest.mark.parametrize("method", ["msrun", "rank table"])
def test_a_rank_that_fails_ends_the_run_and_is_named(ranks_place, method):
    (ranks_place[1] / "table.json").write_text(json.dumps(table([(0, 0), (1, 1)])))
    command = ["run_cpu.sh"] if method == "msrun" else ["run_ascend.sh", "-j", "table.json"]
    done = run_launcher(ranks_place, command[0], *GOOD, "-n", "2", *command[1:], TEST_SECONDS="600", TEST_EXIT_CODE="3",
                        TEST_FAILING_RANK="1", TEST_LINES="100")
    assert done.returncode == 3
    assert "rank 1 ended with exit code 3" in done.stderr and "rank_1.log" in done.stderr
    assert "line 99" in done.stderr and "line 2\n" not in done.stderr, "only its last lines are shown"
    assert not rank_processes(ranks_place)


@pytest.mark.parametrize("victim", ["program", "wrapper"])
def test_a_killed_rank_ends_the_run_and_is_named(ranks_place, victim):
    process = start_launcher(ranks_place, "run_cpu.sh", *GOOD, "-n", "2", TEST_SECONDS="600")
    folder = ranks_place[1] / "train_mass_cpu"
    try:
        wait_until(lambda: all("ready" in read(folder / f"ranks/rank_{rank}.log") for rank in range(2)))
        wrapper = int((folder / "ranks/rank_1.pid").read_text())
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(wrapper)], capture_output=True, text=True).stdout
        os.kill(wrapper if victim == "wrapper" else int(children), signal.SIGKILL)
        assert process.wait(60) == 137
        log = read(folder / "log.txt")
        assert "rank 1 was killed by signal 9 (SIGKILL; exit code 137)" in log
        assert not rank_processes(ranks_place)
    finally:
        process.kill()


def test_a_stopped_wrapper_does_not_let_the_run_stand(ranks_place):
    """It would neither forward a signal nor record that its program has ended."""
    process = start_launcher(ranks_place, "run_cpu.sh", *GOOD, "-n", "2", TEST_SECONDS="600")
    folder = ranks_place[1] / "train_mass_cpu"
    try:
        wait_until(lambda: all("ready" in read(folder / f"ranks/rank_{rank}.log") for rank in range(2)))
        wrappers = [int((folder / f"ranks/rank_{rank}.pid").read_text()) for rank in range(2)]
        os.kill(wrappers[1], signal.SIGSTOP)
        wait_until(lambda: not is_stopped(wrappers[1]))
        os.kill(wrappers[0], signal.SIGSTOP)
        (program,) = psutil.Process(wrappers[0]).children()
        program.kill()
        assert process.wait(60) == 137
        assert not rank_processes(ranks_place)
    finally:
        process.kill()


@pytest.mark.parametrize("seconds", [0, 0.5, 1, 2])
def test_a_run_is_stopped_at_once_just_after_its_start(ranks_place, seconds):
    """msrun, the wrappers or the programs may not have started yet."""
    process = start_launcher(ranks_place, "run_cpu.sh", *GOOD, "-n", "2", TEST_SECONDS="600")
    try:
        wait_until(lambda: read(ranks_place[1] / "train_mass_cpu/pid").strip())
        time.sleep(seconds)
        start = time.monotonic()
        stopped = run_launcher(ranks_place, "stop_training.sh")
        assert stopped.returncode == 0, stopped.stderr
        assert process.wait(30) == 143 and time.monotonic() - start < 30
        assert not rank_processes(ranks_place)
    finally:
        process.kill()


@pytest.mark.parametrize("room", [8, 200, 8192])
def test_a_full_disk_ends_the_run(ranks_place, room):
    """The log of msrun cannot be begun, or the logs of the ranks become full."""
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (room, room))
    started = time.monotonic()
    done = run_script("scripts/run_cpu.sh", *GOOD, "-n", "2", root=ranks_place[0], cwd=ranks_place[1], code=1,
                      preexec_fn=limit, environment={"TEST_LINES": "20000"})
    log = ranks_place[1].resolve() / "train_mass_cpu" / ("log.txt" if room == 8192 else "ranks/msrun/msrun.log")
    assert time.monotonic() - started < 50
    assert f"{log}{' cannot be written' if room == 8192 else ''}: File too large\n" in done.stderr
    assert done.stderr.startswith("run_cpu.sh: error: ") and not rank_processes(ranks_place)


@pytest.mark.parametrize("kind", ["pid", "ending"])
def test_a_rank_on_a_full_disk_ends_with_its_code(tmp_path, kind):
    """Its end is recorded by renaming an empty file."""
    files = RankFiles(str(tmp_path / "ranks"))
    files.clear([0, 1])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        if kind == "pid":
            with pytest.raises(OSError, match="File too large"):
                files.write_wrapper(1, 7)
        else:
            files.write_ending(1, 139)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files.ending(0) is None
    assert files.ending(1)[:2] == (1, 1 if kind == "pid" else 139)
    files.clear([0, 1])
    assert files.ending(1) is None


def test_a_scheduler_that_loses_the_ranks_ends_the_run(ranks_place):
    (ranks_place[0] / "mindspore/communication.py").write_text("def init(): raise RuntimeError('worker 1 timed out')")
    done = run_launcher(ranks_place, "run_cpu.sh", *GOOD, "-n", "2", TEST_SECONDS="600")
    assert done.returncode == 1
    assert "the scheduler" in done.stderr and "worker 1 timed out" in done.stderr
    assert not rank_processes(ranks_place)


def test_a_killed_launcher_lets_its_ranks_save(ranks_place):
    process = start_launcher(ranks_place, "run_cpu.sh", *GOOD, "-n", "2", TEST_SECONDS="600", TEST_SAVING="1")
    folder = ranks_place[1] / "train_mass_cpu/ranks"
    try:
        wait_until(lambda: all("ready" in read(folder / f"rank_{rank}.log") for rank in range(2)))
    finally:
        process.kill()
    wait_until(lambda: all("saved" in read(folder / f"rank_{rank}.log") for rank in range(2)))
    process.wait()
    wait_until(lambda: not any("msrun" not in line for line in rank_processes(ranks_place)))


def test_two_runs_on_one_machine_do_not_interfere(ranks_place):
    background = [*GOOD, "-n", "2", "-b"]
    for folder in ("first run", "second run"):
        run_launcher(ranks_place, "run_cpu.sh", *background, "--run_folder", folder, code=0, TEST_SECONDS="60",
                     OMP_NUM_THREADS="3")
    logs = [ranks_place[1] / folder / "ranks/rank_1.log" for folder in ("first run", "second run")]
    try:
        wait_until(lambda: all("ready" in read(log) for log in logs))
        ports = {environment_seen(read(log))["MS_SCHED_PORT"] for log in logs}
        assert [environment_seen(read(log))["OMP_NUM_THREADS"] for log in logs] == ["3", "3"]
        assert len(ports) == 2
        assert run_launcher(ranks_place, "stop_training.sh", "first run").returncode == 0
        pid = int((ranks_place[1] / "second run/pid").read_text())
        assert process_state(pid) and "saved" not in read(logs[1])
    finally:
        for folder in ("first run", "second run"):
            run_launcher(ranks_place, "stop_training.sh", folder)
    assert "saved" in read(logs[1])


def read(path) -> str:
    return path.read_text() if path.exists() else ""
