"""The steps of a recipe: what is skipped, made again, resumed and reported; and trainings that fit into a time."""
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from config.config import Config
from config.loading import config_from_dict, load_config
from recipes.gigaword_style import in_gigaword_style
from recipes.schedule import PlannedTraining, scaled_settings, seconds_per_step, shorten
from recipes.steps import Step, Steps
from src.common.errors import MassError
from tests.helpers.paths import ROOT

COPY = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2]); open('log', 'a').write(sys.argv[2] + ' ')"


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "copy_file.py").write_text(COPY)
    (tmp_path / "a.txt").write_text("text\n")
    return tmp_path


def copy_step(name, source, target, **options):
    return Step(name, (sys.executable, "copy_file.py", source, target), target, **options)


def run_chain(steps=None):
    """Copy a.txt to b.txt and that to c.txt; return the outputs that were made, in their order."""
    open("log", "w").close()
    steps = steps or Steps("run")
    steps.run(copy_step("first", "a.txt", "b.txt"))
    steps.run(copy_step("second", "b.txt", "c.txt"))
    with open("log") as stream:
        return stream.read().split()


def test_finished_steps_are_skipped_until_something_changes(place, capfd):
    assert run_chain() == ["b.txt", "c.txt"]
    assert run_chain() == [] and "up to date: second (c.txt)" in capfd.readouterr().out
    (place / "c.txt").unlink()
    assert run_chain() == ["c.txt"]
    (place / "b.txt").write_text("changed by hand\n")
    assert run_chain() == ["b.txt", "c.txt"]
    (place / "a.txt").write_text("another text\n")
    assert run_chain() == ["b.txt", "c.txt"] and (place / "c.txt").read_text() == "another text\n"
    assert run_chain() == []


def test_another_command_makes_the_output_again(place):
    run_chain()
    open("log", "w").close()
    (place / "other.txt").write_text("other\n")
    Steps("run").run(copy_step("first", "other.txt", "b.txt"))
    assert (place / "b.txt").read_text() == "other\n"


def test_files_in_folders_and_in_settings_are_inputs(place):
    (place / "show.py").write_text("open('out', 'w').write('x'); open('log', 'a').write('made ')")
    (place / "folder").mkdir()
    for words, changed in ((("--src_folder", "folder,other"), "folder/new.txt"), (("--set", "node.key=a.txt"), "a.txt"),
                           (("--set", "node.key=folder/deep"), "folder/deep")):
        step = Step("step", (sys.executable, "show.py", *words), "out")
        open("log", "w").close()
        for _ in range(2):
            Steps("run").run(step)
        assert (place / "log").read_text() == "made "
        (place / changed).write_text("changed in this test\n")
        Steps("run").run(step)
        assert (place / "log").read_text() == "made made "


def test_a_damaged_note_is_no_note(place):
    run_chain()
    note = place / "run" / "steps" / "first.json"
    note.write_text(note.read_text().replace("b.txt", "d.txt"))
    assert run_chain() == ["b.txt", "c.txt"]


def test_a_failure_ends_the_run_with_its_exit_code(place):
    (place / "fail.py").write_text("import sys; open('b.txt', 'w'); sys.exit(7)")
    with pytest.raises(MassError, match="step 'first' failed with exit code 7") as caught:
        Steps("run").run(Step("first", (sys.executable, "fail.py"), "b.txt"))
    assert caught.value.exit_code == 7
    assert run_chain() == ["b.txt", "c.txt"], "the output of a failed command does not count"


def test_a_command_that_makes_nothing_is_an_error(place):
    (place / "nothing.py").write_text("")
    with pytest.raises(MassError, match="'first' did not make b.txt"):
        Steps("run").run(Step("first", (sys.executable, "nothing.py"), "b.txt"))


def test_a_resumable_step_keeps_what_an_interrupted_command_left(place):
    """The command writes a line and fails until there are three; another step would begin with an empty output."""
    (place / "grow.py").write_text("import sys; open('b.txt', 'a').write('line\\n'); "
                                   "sys.exit(len(open('b.txt').readlines()) < 3)")
    for resumable, attempts in ((True, 3), (False, None)):
        step = Step(f"grow{resumable}", (sys.executable, "grow.py"), "b.txt", resumable)
        outcomes = []
        for _ in range(5):
            try:
                Steps("run").run(step)
                outcomes.append(True)
            except MassError:
                outcomes.append(False)
        assert outcomes == [number >= (attempts or 99) for number in range(1, 6)]


def test_dry_run_prints_and_makes_nothing(place, capfd):
    assert run_chain(Steps("run", dry_run=True)) == []
    assert f"+ {sys.executable} copy_file.py a.txt b.txt" in capfd.readouterr().out
    assert not (place / "run").exists()


def test_a_signal_reaches_the_command_and_then_ends_the_run(place):
    (place / "wait.py").write_text(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (open('saved', 'w').close(), sys.exit(143)))\n"
        "open('ready', 'w').close()\ntime.sleep(60)\n")
    program = ("from recipes.steps import Step, Steps\nfrom src.common.errors import run\nimport sys\n"
               "run(lambda: Steps('run').run(Step('wait', (sys.executable, 'wait.py'), 'out')))")
    process = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(ROOT)},
                               stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (place / "ready").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143 and (place / "saved").exists()
    assert "stopped by SIGTERM" in process.stderr.read()


# -- the length of trainings -----------------------------------------------------------------------------------------


def write_history(folder, seconds_by_step):
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("".join(
        json.dumps({"event": "train", "step": step, "seconds": seconds}) + "\n"
        for step, seconds in seconds_by_step.items()))
    return str(folder)


def test_the_first_steps_of_a_trial_do_not_count(tmp_path):
    assert seconds_per_step(write_history(tmp_path / "a", {10: 30.0, 20: 35.0, 30: 40.0})) == 0.5
    with pytest.raises(MassError, match="too few"):
        seconds_per_step(write_history(tmp_path / "b", {10: 30.0}))


def plan(steps, warmup=100):
    return config_from_dict({"training_config": {"max_steps": steps, "valid_steps": 200},
                             "learn_rate_config": {"warmup_steps": warmup, "decay_steps": steps - warmup},
                             "checkpoint_options": {"save_ckpt_steps": 400}})


def test_all_trainings_are_shortened_by_one_factor(tmp_path):
    long = PlannedTraining(plan(2000), write_history(tmp_path / "a", {10: 9.0, 30: 19.0}), 1)  # 0.5 s a step: 1,000 s
    short = PlannedTraining(plan(500), write_history(tmp_path / "b", {10: 9.0, 30: 29.0}), 2)  # 1 s a step: 2 x 500 s
    first, second = (dict(setting.split("=") for setting in settings) for settings in shorten([long, short], 10.0))
    assert first == {"training_config.max_steps": "600", "training_config.valid_steps": "60",
                     "learn_rate_config.warmup_steps": "30", "learn_rate_config.decay_steps": "570",
                     "checkpoint_options.save_ckpt_steps": "120"}
    assert second["training_config.max_steps"] == "150"
    assert int(first["training_config.max_steps"]) * 0.5 + 2 * int(second["training_config.max_steps"]) == 600


@pytest.mark.parametrize("factor", [0.2, 1.0, 7.3])
def test_scaled_settings_are_valid_for_every_recipe(factor):
    from recipes.register import RECIPES

    for recipe in RECIPES.values():
        for config, settings in ((recipe.pretrain_config, ()), (recipe.finetune_config, recipe.finetune_settings)):
            config = str(ROOT / config)
            loaded = load_config(config, settings)
            if loaded.training_config.max_steps * factor < 20:
                continue
            scaled = load_config(config, [*settings, *scaled_settings(loaded, factor)])
            steps, rate = scaled.training_config.max_steps, scaled.learn_rate_config
            assert steps == round(loaded.training_config.max_steps * factor)
            assert rate.warmup_steps + rate.decay_steps == steps


def test_too_little_time_is_an_error():
    with pytest.raises(MassError, match="give more --minutes"):
        scaled_settings(plan(1000), 0.01)
    assert isinstance(plan(1000), Config)


def test_the_spelling_of_gigaword():
    assert in_gigaword_style("The U.S. paid $ 1.25 billion ( 3 % ) in 1999 .") == \
        "the u.s. paid $ #.## billion -lrb- # % -rrb- in #### ."
    styled = in_gigaword_style("A [ b ] { c } UNK <unk>")
    assert styled == "a -lsb- b -rsb- -lcb- c -rcb- UNK <unk>" and in_gigaword_style(styled) == styled
