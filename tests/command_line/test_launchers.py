"""The shell scripts on one device: flags, exit codes, logs, paths with spaces, background runs, stopping a run."""
import os
import resource
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.helpers.launching import (
    ALL_DEVICES,
    LAUNCHERS,
    arguments_seen,
    make_place,
    process_state,
    run_launcher,
    start_launcher,
    wait_until,
)
from tests.helpers.paths import ROOT
from tests.helpers.scripts import SHELL, run_script


@pytest.fixture
def place(tmp_path):
    return make_place(tmp_path)


@pytest.mark.parametrize("script", sorted(path.name for path in (ROOT / "scripts").glob("*.sh")))
def test_scripts_are_valid_posix_sh(script):
    subprocess.run([SHELL, "-n", ROOT / "scripts" / script], check=True)


@pytest.mark.parametrize("script", [*LAUNCHERS, "stop_training.sh", "quickstart.sh", "run_recipe.sh", "setup_venv.sh",
                                    "test.sh"])
def test_help(place, script):
    for flag in ("-h", "--help"):
        done = run_launcher(place, script, flag)
        assert done.returncode == 0 and done.stdout.startswith(f"usage: sh {script}") and not done.stderr


@pytest.mark.parametrize(
    ("script", "device", "folder"),
    [("run_cpu.sh", "CPU", "cpu"), ("run_gpu.sh", "GPU", "gpu3"), ("run_ascend.sh", "Ascend", "ascend3")],
)
def test_training_runs_train_py_and_keeps_its_log(place, script, device, folder):
    done = run_launcher(place, script, "-t", "t", "-i", "3", "-c", "my config.json",
                        "--", "--set", "model_config.seq_length=8", code=0)
    run_folder = place[1] / f"train_mass_{folder}"
    number = [] if device == "CPU" else ["--set", "training_config.device_id=3"]
    assert arguments_seen(done.stdout) == [
        "--config", "my config.json", "--run_folder", str(run_folder.resolve()), "--set", "model_config.seq_length=8",
        "--set", f"training_config.device_target={device}", *number,
    ]
    assert (run_folder / "log.txt").read_text() == done.stdout
    assert "to stderr" in done.stdout
    assert os.listdir(run_folder) == ["log.txt"], "the pid file is removed"


def test_a_second_run_is_appended_to_the_log(place):
    first = run_launcher(place, "run_cpu.sh", "-t", "t", "-c", "my config.json")
    second = run_launcher(place, "run_cpu.sh", "-t", "t", "-c", "my config.json")
    assert first.stdout and second.stdout
    assert (place[1] / "train_mass_cpu/log.txt").read_text() == first.stdout + second.stdout


@pytest.mark.parametrize(("flags", "passed"), [
    (["-r"], ["--resume"]),
    (["--resume", "a model-7.safetensors"], ["--resume", "a model-7.safetensors"]),
    ([], []),
])
def test_resume_is_passed_to_train_py(place, flags, passed):
    done = run_launcher(place, "run_cpu.sh", *flags, "-t", "t", "-c", "my config.json", "--run_folder", "my run")
    assert done.returncode == 0, done.stderr
    assert arguments_seen(done.stdout) == [
        "--config", "my config.json", "--run_folder", str((place[1] / "my run").resolve()), *passed,
        "--set", "training_config.device_target=CPU"]


def test_inference_runs_eval_py_with_defaults_and_with_all_flags(place):
    work = place[1].resolve()
    done = run_launcher(place, "run_cpu.sh", "--task=i", "-c", "my config.json", "-v", "vocabulary.bin")
    seen = arguments_seen((work / "infer_mass_cpu/log.txt").read_text())
    assert done.returncode == 0
    assert seen[:8] == ["--config", "my config.json", "--vocab", "vocabulary.bin",
                        "--metric", "rouge", "--output", str(work / "infer_mass_cpu/predictions.jsonl")]
    done = run_launcher(place, "run_gpu.sh", "--task", "i", "--config", "my config.json", "--vocab", "vocabulary.bin",
                        "--metric", "ppl", "--output", "my answers.jsonl", "--device_num", "1", "--device_id", "2")
    seen = arguments_seen(done.stdout)
    assert done.returncode == 0
    assert seen[4:8] == ["--metric", "ppl", "--output", "my answers.jsonl"]
    assert "training_config.device_id=2" in seen


@pytest.mark.parametrize("task", ["t", "i"])
def test_exit_code_of_the_program_is_returned(place, task):
    vocabulary = ["-v", "vocabulary.bin"] if task == "i" else []
    done = run_launcher(place, "run_cpu.sh", "-t", task, "-c", "my config.json", *vocabulary, TEST_EXIT_CODE="7")
    assert done.returncode == 7
    assert "exit code 7" in done.stderr and "log.txt" in done.stderr
    folder = "train_mass_cpu" if task == "t" else "infer_mass_cpu"
    assert (place[1] / folder / "log.txt").read_text() == done.stdout + done.stderr


GOOD = ["-t", "t", "-c", "my config.json"]
INFER = ["-t", "i", "-c", "my config.json", "-v", "vocabulary.bin"]


@pytest.mark.parametrize(
    ("script", "arguments", "code", "message"),
    [
        ("run_cpu.sh", [], 2, "-t {t,i}"),
        ("run_cpu.sh", ["-c", "my config.json", "-t", "x"], 2, "invalid choice: 'x' (choose from 't', 'i')"),
        ("run_cpu.sh", ["-t"], 2, "-t/--task: expected one argument"),
        ("run_cpu.sh", [*GOOD, "train"], 2, "unrecognized arguments: train"),
        ("run_gpu.sh", [*GOOD, "-z", "1"], 2, "unrecognized arguments: -z"),
        ("run_gpu.sh", [*GOOD, "-j", "table.json"], 2, "unrecognized arguments: -j"),
        ("run_gpu.sh", [*GOOD, "--dev", "2"], 2, "unrecognized arguments: --dev"),
        ("run_gpu.sh", [*GOOD, "-n", "many"], 2,
         "-n/--device_num: 'many' is not allowed; allowed are whole numbers from 1 to 16"),
        ("run_gpu.sh", [*GOOD, "-n", "0"], 2,
         "-n/--device_num: '0' is not allowed; allowed are whole numbers from 1 to 16"),
        ("run_gpu.sh", [*GOOD, "-n", "4", "-i", "14"], 2, "the devices would be 14 to 17; allowed are 0 to 15"),
        ("run_gpu.sh", [*GOOD, "-i", "16"], 2,
         "-i/--device_id: '16' is not allowed; allowed are whole numbers from 0 to 15"),
        ("run_gpu.sh", [*GOOD, "--nodes", "2", "--master", "a"], 2, "requires --node_rank; allowed are 0 to 1"),
        ("run_gpu.sh", [*GOOD, "--nodes", "2", "--node_rank", "0"], 2, "requires --master HOST[:PORT]"),
        ("run_gpu.sh", [*GOOD, "--nodes", "2", "--node_rank", "2", "--master", "a"], 2, "allowed are 0 to 1"),
        ("run_gpu.sh", [*GOOD, "--master", "a:80"], 2, "a port of 1024 to 65535"),
        ("run_gpu.sh", [*GOOD, "--node_rank", "0"], 2, "are flags of runs on several machines"),
        ("run_cpu.sh", ["-t", "t"], 2, "required: -c/--config"),
        ("run_cpu.sh", ["-t", "t", "-c", "none.json"], 1, "'none.json' does not exist"),
        ("run_cpu.sh", [*GOOD, "-m", "rouge"], 2, "are flags of inference"),
        ("run_cpu.sh", INFER[:4], 2, "inference requires the vocabulary"),
        ("run_cpu.sh", [*INFER, "-r"], 2, "--resume is a flag of training"),
        ("run_cpu.sh", [*INFER, "-n", "2"], 2, "runs on one device and writes its predictions in order to one file"),
        ("run_cpu.sh", [*INFER[:4], "-v", "none.bin"], 1, "'none.bin' does not exist"),
        ("run_cpu.sh", [*INFER, "-m", "bleu"], 2, "invalid choice: 'bleu' (choose from 'rouge', 'ppl')"),
        ("stop_training.sh", [], 1, "no training is running"),
        ("stop_training.sh", ["none"], 1, "folder 'none' does not exist"),
        ("stop_training.sh", ["a", "b"], 2, "unrecognized arguments: b"),
        ("quickstart.sh", ["--slow"], 2, "unknown argument '--slow'"),
        ("setup_venv.sh", ["--slow"], 2, "unknown argument '--slow'"),
        ("setup_venv.sh", ["--python", "/no/python"], 1, "/no/python: not found"),
    ],
)
def test_mistakes_are_reported(place, script, arguments, code, message):
    done = run_launcher(place, script, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr and "Traceback" not in done.stderr
    assert script in done.stderr, "the message starts with the name of the script"
    assert not list(place[1].glob("*_mass_*")), "an invalid command creates no folder"


def test_an_unusable_python_is_refused(place):
    done = run_launcher(place, "run_cpu.sh", *GOOD, PYTHON="/no/such/python")
    assert done.returncode == 1 and "/no/such/python" in done.stderr and "setup_venv.sh" in done.stderr


def test_a_folder_named_src_in_the_working_folder_is_ignored(place):
    stray = place[1] / "src"
    stray.mkdir()
    (stray / "__init__.py").write_text("raise SystemExit('the wrong src')")
    assert run_launcher(place, "run_cpu.sh", *GOOD).returncode == 0


def test_stop_training_stops_the_named_run_only(place):
    work = place[1]
    first, second = start_launcher(place, "run_cpu.sh", *GOOD), start_launcher(place, "run_gpu.sh", *GOOD)
    try:
        for name in ("train_mass_cpu", "train_mass_gpu0"):
            wait_until(lambda name=name: "ready" in read(work / name / "log.txt"))
        refused = run_launcher(place, "run_cpu.sh", *GOOD)
        assert refused.returncode == 1 and f"process {first.pid} runs in" in refused.stderr
        unclear = run_launcher(place, "stop_training.sh")
        assert unclear.returncode == 2 and "train_mass_cpu" in unclear.stderr and "train_mass_gpu0" in unclear.stderr
        stopped = run_launcher(place, "stop_training.sh", "train_mass_gpu0")
        assert stopped.returncode == 0 and "stopped" in stopped.stdout
        assert second.wait(30) == 143 and first.poll() is None
        stopped = run_launcher(place, "stop_training.sh")
        assert stopped.returncode == 0 and first.wait(30) == 143
        assert os.listdir(work / "train_mass_cpu") == ["log.txt"]
        assert "saved" in read(work / "train_mass_cpu/log.txt"), "the program had time to end by itself"
    finally:
        first.kill()
        second.kill()


def test_a_paused_run_can_be_stopped(place):
    """SIGSTOP stops both the launcher and the training, as Ctrl-Z does; a signal that ends them would not be seen."""
    process = start_launcher(place, "run_cpu.sh", *GOOD)
    try:
        wait_until(lambda: "ready" in read(place[1] / "train_mass_cpu/log.txt"))
        (training,) = psutil.Process(process.pid).children()
        for each in (training, process):
            each.send_signal(signal.SIGSTOP)
        stopped = run_launcher(place, "stop_training.sh")
        assert stopped.returncode == 0, stopped.stderr
        assert process.wait(30) == 143
    finally:
        process.kill()


def full_disk(place, script, *arguments, room, **environment):
    """Run a launcher whose files can have `room` bytes, which programs meet as they meet a full disk."""
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (room, room))
    return run_script(f"scripts/{script}", *arguments, root=place[0], cwd=place[1], code=1, preexec_fn=limit,
                      environment={**ALL_DEVICES, "TEST_LINES": "20000", **environment})


@pytest.mark.parametrize("background", [[], ["-b"]])
def test_a_disk_that_is_full_from_the_beginning(place, background):
    done = full_disk(place, "run_cpu.sh", *GOOD, *background, room=0)
    pid = place[1].resolve() / "train_mass_cpu/pid"
    assert (done.stdout, done.stderr) == ("", f"run_cpu.sh: error: {pid}: File too large\n")
    assert not pid.exists()
    done = full_disk(place, "run_cpu.sh", *GOOD, *background, room=20)
    assert (done.stdout, done.stderr) == ("", f"run_cpu.sh: error: {pid.parent / 'log.txt'}: File too large\n")


def test_a_disk_that_becomes_full(place):
    done = full_disk(place, "run_cpu.sh", *GOOD, room=8192)
    log = place[1].resolve() / "train_mass_cpu/log.txt"
    assert done.stderr == (f"run_cpu.sh: error: train.py ended with exit code 1; the log is {log}\n"
                           f"{log} cannot be written: File too large\n")
    assert "line 100\n" in done.stdout and os.listdir(log.parent) == ["log.txt"]


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 143)])
def test_signals_to_the_launcher_reach_the_training(place, signum, code):
    process = start_launcher(place, "run_cpu.sh", *GOOD)
    try:
        wait_until(lambda: "ready" in read(place[1] / "train_mass_cpu/log.txt"))
        process.send_signal(signum)
        assert process.wait(30) == code
        assert "saved" in read(place[1] / "train_mass_cpu/log.txt")
    finally:
        process.kill()


def test_the_training_saves_and_ends_when_its_launcher_is_killed(place):
    folder = place[1] / "train_mass_cpu"
    process = start_launcher(place, "run_cpu.sh", *GOOD)
    try:
        wait_until(lambda: "ready" in read(folder / "log.txt"))
    finally:
        process.kill()
    wait_until(lambda: "saved" in read(folder / "log.txt"))
    process.wait()
    assert (folder / "pid").exists(), "no process was left to remove it"
    assert run_launcher(place, "stop_training.sh", "train_mass_cpu").returncode == 1
    assert run_launcher(place, "run_cpu.sh", *GOOD).returncode == 0, "a stale pid file is ignored"


def test_stop_training_does_not_stop_other_processes(place):
    """The process id in the pid file of a killed run may have been reused by another process."""
    folder = place[1] / "train_mass_cpu"
    folder.mkdir()
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        (folder / "pid").write_text(f"{other.pid}\n")
        assert run_launcher(place, "stop_training.sh", "train_mass_cpu").returncode == 1
        assert other.poll() is None
    finally:
        other.kill()


def test_background_returns_at_once_and_prints_how_to_follow_and_to_stop(place):
    folder = (place[1] / "train_mass_cpu").resolve()
    done = run_launcher(place, "run_cpu.sh", *GOOD, "-b", TEST_SECONDS="60")
    assert done.returncode == 0 and not done.stderr
    pid = int((folder / "pid").read_text())
    try:
        lines = done.stdout.splitlines()
        assert f"process {pid} runs in the background" in lines[0]
        follow, stop = (line.partition(": ")[2].strip() for line in lines[1:])
        assert follow == f"tail -f '{folder}/log.txt'"
        wait_until(lambda: "ready" in read(folder / "log.txt"))
        assert process_state(pid), "it is running"
        assert subprocess.run([SHELL, "-c", stop], env={**os.environ, "PYTHON": sys.executable}).returncode == 0
        assert not process_state(pid)
    finally:
        if process_state(pid):
            os.kill(pid, signal.SIGKILL)
    log = read(folder / "log.txt")
    assert "saved" in log and "train.py was stopped by SIGTERM" in log
    assert not (folder / "pid").exists()


def test_a_failure_in_the_background_is_in_the_log(place):
    log = place[1] / "train_mass_cpu/log.txt"
    assert run_launcher(place, "run_cpu.sh", *GOOD, "--background", TEST_EXIT_CODE="7").returncode == 0
    wait_until(lambda: "run_cpu.sh: error: train.py ended with exit code 7" in read(log))


def test_a_closed_terminal_or_reader_does_not_end_the_run(place):
    process = start_launcher(place, "run_cpu.sh", *GOOD, TEST_SECONDS="1", TEST_LINES="20000", stdout=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 0
    assert "line 19999" in read(place[1] / "train_mass_cpu/log.txt")


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""
