"""The shell scripts: flags, exit codes, logs, paths with spaces, stopping a run."""
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
LAUNCHERS = ["run_cpu.sh", "run_gpu.sh", "run_ascend.sh"]

# Stands for train.py and eval.py: tells its arguments, then exits or waits as the test asks.
PROGRAM = """
import json, os, sys, time
print("arguments", json.dumps(sys.argv[1:]))
print("to stderr", file=sys.stderr)
time.sleep(float(os.environ.get("TEST_SECONDS", "0")))
sys.exit(int(os.environ.get("TEST_EXIT_CODE", "0")))
"""


@pytest.fixture
def place(tmp_path):
    """A repository with stand-in programs and a working folder, both with spaces in their paths."""
    repository, work = tmp_path / "the repository", tmp_path / "my work"
    shutil.copytree(SCRIPTS, repository / "scripts")
    work.mkdir()
    for name in ("train.py", "eval.py"):
        (repository / name).write_text(PROGRAM)
    for name in ("my config.json", "vocabulary.bin"):
        (work / name).write_text("{}")
    return repository, work


def run(place, script, *arguments, **environment):
    repository, work = place
    return subprocess.run(
        ["sh", repository / "scripts" / script, *arguments],
        cwd=work, env={**os.environ, "PYTHON": sys.executable, **environment},
        capture_output=True, text=True, timeout=60,
    )


def arguments_seen(log: str) -> list[str]:
    lines = [line for line in log.splitlines() if line.startswith("arguments ")]
    return json.loads(lines[-1].removeprefix("arguments "))


@pytest.mark.parametrize("script", sorted(path.name for path in SCRIPTS.glob("*.sh")))
def test_plain_sh_can_read_it(script):
    checker = shutil.which("dash") or "sh"
    subprocess.run([checker, "-n", SCRIPTS / script], check=True)


@pytest.mark.parametrize("script", [*LAUNCHERS, "stop_training.sh", "quickstart.sh", "setup_venv.sh", "test.sh"])
def test_help(place, script):
    for flag in ("-h", "--help"):
        done = run(place, script, flag)
        assert done.returncode == 0 and done.stdout.startswith(f"usage: sh {script}") and not done.stderr


@pytest.mark.parametrize(
    ("script", "device", "folder"),
    [("run_cpu.sh", "CPU", "cpu"), ("run_gpu.sh", "GPU", "gpu3"), ("run_ascend.sh", "Ascend", "ascend3")],
)
def test_training_runs_train_py_and_keeps_its_log(place, script, device, folder):
    done = run(place, script, "-t", "t", "-i", "3", "-c", "my config.json", "--", "--set", "model_config.seq_length=8")
    assert done.returncode == 0, done.stderr
    run_folder = place[1] / f"train_mass_{folder}"
    assert arguments_seen(done.stdout) == [
        "--config", "my config.json", "--run_folder", str(run_folder.resolve()), "--set", "model_config.seq_length=8",
        "--set", f"training_config.device_target={device}", "--set", "training_config.device_id=3",
    ]
    assert (run_folder / "log.txt").read_text() == done.stdout
    assert "to stderr" in done.stdout
    assert os.listdir(run_folder) == ["log.txt"], "neither pipe nor pid file stays"


def test_inference_runs_eval_py_with_defaults_and_with_all_flags(place):
    work = place[1].resolve()
    done = run(place, "run_cpu.sh", "--task=i", "-c", "my config.json", "-v", "vocabulary.bin")
    seen = arguments_seen((work / "infer_mass_cpu/log.txt").read_text())
    assert done.returncode == 0
    assert seen[:8] == ["--config", "my config.json", "--vocab", "vocabulary.bin",
                        "--metric", "rouge", "--output", str(work / "infer_mass_cpu/predictions.jsonl")]
    done = run(place, "run_gpu.sh", "--task", "i", "--config", "my config.json", "--vocab", "vocabulary.bin",
               "--metric", "ppl", "--output", "my answers.jsonl", "--device_num", "1", "--device_id", "2")
    seen = arguments_seen(done.stdout)
    assert done.returncode == 0
    assert seen[4:8] == ["--metric", "ppl", "--output", "my answers.jsonl"]
    assert "training_config.device_id=2" in seen


@pytest.mark.parametrize("task", ["t", "i"])
def test_exit_code_of_the_program_passes_through(place, task):
    vocabulary = ["-v", "vocabulary.bin"] if task == "i" else []
    done = run(place, "run_cpu.sh", "-t", task, "-c", "my config.json", *vocabulary, TEST_EXIT_CODE="7")
    assert done.returncode == 7
    assert "exit code 7" in done.stderr and "log.txt" in done.stderr


@pytest.mark.parametrize(
    ("script", "arguments", "code", "message"),
    [
        ("run_cpu.sh", [], 2, "allowed are t (train) and i (infer)"),
        ("run_cpu.sh", ["-t", "x"], 2, "-t/--task is 'x'"),
        ("run_cpu.sh", ["-t"], 2, "without a value: '-t'"),
        ("run_cpu.sh", ["train"], 2, "'train' is not a flag"),
        ("run_gpu.sh", ["-z", "1"], 2, "unknown flag '-z'"),
        ("run_gpu.sh", ["-j", "table.json"], 2, "run_ascend.sh only"),
        ("run_gpu.sh", ["-t", "t", "-n", "many"], 2, "-n/--device_num is 'many'; allowed are 1 to 8"),
        ("run_gpu.sh", ["-t", "t", "-n", "2"], 2, "not supported yet"),
        ("run_gpu.sh", ["-t", "t", "-i", "8"], 2, "-i/--device_id is '8'; allowed are 0 to 7"),
        ("run_cpu.sh", ["-t", "t"], 2, "-c FILE"),
        ("run_cpu.sh", ["-t", "t", "-c", "none.json"], 1, "there is no file 'none.json'"),
        ("run_cpu.sh", ["-t", "t", "-c", "my config.json", "-m", "rouge"], 2, "belong to inference"),
        ("run_cpu.sh", ["-t", "i", "-c", "my config.json"], 2, "inference needs the vocabulary"),
        ("run_cpu.sh", ["-t", "i", "-c", "my config.json", "-v", "none.bin"], 1, "there is no file 'none.bin'"),
        ("run_cpu.sh", ["-t", "i", "-v", "vocabulary.bin", "-m", "bleu"], 2, "allowed are rouge and ppl"),
        ("stop_training.sh", [], 1, "no training runs"),
        ("stop_training.sh", ["none"], 1, "there is no folder 'none'"),
        ("stop_training.sh", ["a", "b"], 2, "give one folder"),
        ("quickstart.sh", ["--slow"], 2, "unknown argument '--slow'"),
        ("setup_venv.sh", ["--slow"], 2, "unknown argument '--slow'"),
        ("setup_venv.sh", ["--python", "/no/python"], 1, "/no/python: not found"),
    ],
)
def test_mistakes_are_told(place, script, arguments, code, message):
    done = run(place, script, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert not list(place[1].glob("*_mass_*")), "a refused command makes no folder"


def start_training(place, script, *arguments):
    return subprocess.Popen(
        ["sh", place[0] / "scripts" / script, "-t", "t", "-c", "my config.json", *arguments], cwd=place[1],
        env={**os.environ, "PYTHON": sys.executable, "TEST_SECONDS": "60"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )


def wait_for_log(folder: Path, text: str) -> None:
    for _ in range(200):
        log = folder / "log.txt"
        if log.exists() and text in log.read_text():
            return
        time.sleep(0.05)
    raise AssertionError(f"no {text!r} in {folder}/log.txt")


def test_stop_training_stops_the_named_run_only(place):
    work = place[1]
    first, second = start_training(place, "run_cpu.sh"), start_training(place, "run_gpu.sh")
    try:
        for name in ("train_mass_cpu", "train_mass_gpu0"):
            wait_for_log(work / name, "arguments")
        refused = run(place, "run_cpu.sh", "-t", "t", "-c", "my config.json")
        assert refused.returncode == 1 and "is training in" in refused.stderr
        unclear = run(place, "stop_training.sh")
        assert unclear.returncode == 2 and "train_mass_cpu" in unclear.stderr and "train_mass_gpu0" in unclear.stderr
        stopped = run(place, "stop_training.sh", "train_mass_gpu0")
        assert stopped.returncode == 0 and "stopped" in stopped.stdout
        assert second.wait(10) == 143 and first.poll() is None
        stopped = run(place, "stop_training.sh")
        assert stopped.returncode == 0 and first.wait(10) == 143
        assert os.listdir(work / "train_mass_cpu") == ["log.txt"]
    finally:
        first.kill()
        second.kill()


def test_terminating_the_launcher_terminates_the_training(place):
    process = start_training(place, "run_cpu.sh")
    try:
        wait_for_log(place[1] / "train_mass_cpu", "arguments")
        process.terminate()
        assert process.wait(10) == 143
        assert run(place, "stop_training.sh").returncode == 1
    finally:
        process.kill()


def test_stop_training_leaves_a_stranger_alone(place):
    """A pid file left by a killed run may name another process by now."""
    folder = place[1] / "train_mass_cpu"
    folder.mkdir()
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        (folder / "pid").write_text(f"{stranger.pid}\n")
        assert run(place, "stop_training.sh", "train_mass_cpu").returncode == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
