"""train.py is stopped, killed, finds damaged files and is resumed, in the same or in another folder."""
import json
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest

from config.loading import config_from_dict
from src.common.errors import UsageError
from src.utils.load_weights import load_weights
from tests.helpers.scripts import start_script
from tests.helpers.tiny_training import events_of, training_nodes, write_pairs

STEPS = 200


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with records and a configuration, and what an uninterrupted run gives."""
    folder = tmp_path_factory.mktemp("a place")
    paths = write_pairs(folder, "train", 22), write_pairs(folder, "valid", 6, seed=1)
    nodes = training_nodes(*paths, checkpoint_options={"save_ckpt_steps": 7},
                           training_config={"max_steps": STEPS, "valid_steps": 50})
    (folder / "config.json").write_text(json.dumps(nodes))
    train_in_process(folder, folder / "whole")
    return folder


def train_in_process(place, folder, resume=None, **changes):
    """Train in `folder`; `changes` are keys by node that differ from those of config.json."""
    from src.training.trainer import train

    nodes = json.loads((place / "config.json").read_text())
    nodes = {node: {**keys, **changes.get(node, {})} for node, keys in nodes.items()}
    return train(config_from_dict(nodes), str(folder), resume)


def start(folder, run, *flags, preloaded=True):
    return start_script("train.py", "--config", "config.json", "--run_folder", run, *flags, cwd=folder,
                        preloaded=preloaded, stderr=subprocess.STDOUT)


def finish(process, code=0):
    printed, _ = process.communicate()
    assert process.returncode == code, printed
    return printed


def wait_for_step(process, folder, step):
    path = folder / "metrics.jsonl"
    while not path.exists() or f'"step": {step},' not in path.read_text():
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.01)


def test_stopped_killed_and_damaged_the_run_comes_to_the_same_end(place):
    run, whole = place / "parts", place / "whole"
    process = start(place, "parts", "--resume")  # as in a restart loop: there is nothing to resume yet
    wait_for_step(process, run, 20)
    process.send_signal(signal.SIGTERM)
    printed = finish(process, 128 + signal.SIGTERM)
    assert "holds no checkpoint yet: a new run begins" in printed and "continue with --resume" in printed
    stopped = newest(run)
    assert stopped >= 20 and f"stopped after {stopped} steps" in printed

    process = start(place, "parts", "--resume")
    wait_for_step(process, run, stopped + 30)
    process.kill()
    assert f"resumed from parts/ckpt-{stopped}.safetensors, step {stopped}" in finish(process, -signal.SIGKILL)
    killed, last = newest(run), events_of_whole_lines(run)[-1]["step"]
    assert last - killed <= 7  # the steps since the last checkpoint

    damaged = run / f"ckpt-{killed}.state.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    printed = finish(start(place, "parts", "--resume"))
    assert f"ckpt-{killed} is skipped" in printed and damaged.name in printed
    assert (run / "set_aside" / damaged.name).exists()

    assert events_of(run) == events_of(whole)
    for name in ("latest", "best"):
        one, other = (load_weights(str(folder / f"{name}.safetensors")).arrays for folder in (run, whole))
        assert all(np.array_equal(one[key], other[key]) for key in one), name


def newest(folder, place=-1):
    return sorted(int(path.name.split("-")[1].split(".")[0]) for path in folder.glob("ckpt-*.state.json"))[place]


def events_of_whole_lines(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


# -- folders; these runs are at their end already, so nothing is compiled --------------------------------------------


def test_a_finished_run_is_left_as_it_is(place):
    before = events_of(place / "whole")
    result = train_in_process(place, place / "whole", resume="")
    assert result.steps == STEPS and result.checkpoint.endswith(f"ckpt-{STEPS}.safetensors")
    assert events_of(place / "whole") == before
    with pytest.raises(UsageError, match="earlier run.*--resume"):
        train_in_process(place, place / "whole")


def test_weights_to_start_from_are_not_read_by_a_run_that_is_resumed(place, capsys):
    train_in_process(place, place / "whole", resume="", checkpoint_options={"existed_ckpt": "none.safetensors"})
    assert "existed_ckpt 'none.safetensors' is not read" in capsys.readouterr().out


def test_another_model_is_refused_by_name(place):
    with pytest.raises(UsageError, match="model_config.hidden_size was 8 and is 16.*existed_ckpt"):
        train_in_process(place, place / "whole", resume="", model_config={"hidden_size": 16})
    with pytest.raises(UsageError, match="batches per step .* was 1 and is 2"):
        train_in_process(place, place / "whole", resume="", dataset_config={"accumulate_batches": 2})


def test_going_back_sets_later_checkpoints_aside(place, tmp_path):
    run = tmp_path / "back"
    shutil.copytree(place / "whole", run)
    earlier = newest(run, -2)
    result = train_in_process(place, run, resume=str(run / f"ckpt-{earlier}.safetensors"),
                              training_config={"max_steps": earlier})
    assert result.steps == newest(run) == earlier and newest(run / "set_aside") == STEPS
    assert max(event["step"] for event in events_of(run)) == earlier
    assert load_weights(str(run / "latest.safetensors")).metadata["step"] == earlier
    best = load_weights(str(run / "best.safetensors")).metadata["step"]
    assert best <= earlier and best == max(event["step"] for event in events_of(run) if event.get("best"))


def test_a_checkpoint_of_another_folder_is_resumed_in_the_run_folder(place, tmp_path):
    result = train_in_process(place, tmp_path / "new", resume=str(place / "whole"))
    assert result.steps == STEPS
    assert events_of(tmp_path / "new") == events_of(place / "whole")  # so that the curves are whole
    with pytest.raises(UsageError, match="earlier run"):
        train_in_process(place, tmp_path / "new", resume=str(place / "whole"))
    assert train_in_process(place, tmp_path / "new", resume="").steps == STEPS
    for name in ("latest", "best"):
        assert (tmp_path / "new" / f"{name}.safetensors").read_bytes() == \
            (place / "whole" / f"{name}.safetensors").read_bytes()


def test_two_runs_in_one_folder_are_refused(place):
    """The first is running: neither a new run nor a second --resume may write into its folder."""
    first = start(place, "shared", "--set", "training_config.max_steps=100000", preloaded=False)  # its number is shown
    try:
        wait_for_step(first, place / "shared", 5)
        for flags in ([], ["--resume"]):
            printed = finish(start(place, "shared", *flags), 1)
            assert f"train.py: error: 'shared' is in use by process {first.pid} (train.py, since 2" in printed, printed
        assert first.poll() is None
    finally:
        first.send_signal(signal.SIGTERM)
    assert "continue with --resume" in finish(first, 143)
    assert not (place / "shared" / ".lock").exists()


@pytest.mark.parametrize("deleted", [True, False])
def test_a_run_folder_that_disappears_ends_the_run(place, deleted):
    process = start(place, "lost", "--set", "training_config.max_steps=100000")
    wait_for_step(process, place / "lost", 5)
    moved = (place / "lost").rename(place / f"moved-{deleted}")
    if deleted:
        shutil.rmtree(moved)
    printed = finish(process, 1)
    assert "train.py: error: the run folder 'lost' was deleted, renamed or replaced while the run wrote" in printed
    assert not (place / "lost").exists() and "Traceback" not in printed
