"""stop_training.sh while a run with two ranks starts: MindSpore is imported, ranks connect, graphs are compiled."""
import json
import time

import pytest

from tests.helpers.scripts import run_script, start_script
from tests.helpers.tiny_training import training_nodes, write_pairs

LIMIT = 30  # seconds from the request to the end of all processes


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stopping")
    nodes = training_nodes(write_pairs(folder, "train", 22), training_config={"max_steps": 100_000})
    (folder / "config.json").write_text(json.dumps(nodes))
    return folder


@pytest.mark.parametrize("seconds", [0.2, 3, 6, 9])
def test_two_ranks_end_within_half_a_minute(folder, seconds):
    process = start_script("scripts/run_cpu.sh", "-t", "t", "-c", "config.json", "-n", 2, "--run_folder",
                           f"run after {seconds}", cwd=folder)
    try:
        pid = folder / f"run after {seconds}" / "pid"
        until = time.monotonic() + 60
        while not (pid.exists() and pid.read_text().strip()) and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(seconds)
        start = time.monotonic()
        run_script("scripts/stop_training.sh", f"run after {seconds}", cwd=folder)
        printed, _ = process.communicate(timeout=LIMIT)
        assert time.monotonic() - start < LIMIT and process.returncode == 143, printed
    finally:
        process.kill()
