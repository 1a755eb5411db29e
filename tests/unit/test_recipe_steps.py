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
from recipes.schedule import PROBE_SETTINGS, PlannedTraining, scaled_settings, shorten, speed_of
from recipes.steps import Step, Steps, is_finished, path_in_root
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
    return Step(name, (sys.executable, "copy_file.py", source, target), target, (source,), **options)


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


def test_a_step_is_made_again_when_an_input_changes(place):
    (place / "show.py").write_text("open('out', 'w').write('x'); open('log', 'a').write('made ')")
    (place / "lr=0.1,b").mkdir()
    for inputs, changed in ((("lr=0.1,b", "other"), "lr=0.1,b/new.txt"), (("a.txt",), "a.txt"),
                            (("lr=0.1,b/deep",), "lr=0.1,b/deep"), (("lr=0.1,b",), "lr=0.1,b/deep")):
        step = Step("step", (sys.executable, "show.py"), "out", inputs)
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
        step = Step(f"grow{resumable}", (sys.executable, "grow.py"), "b.txt", (), resumable)
        outcomes = []
        for _ in range(5):
            try:
                Steps("run").run(step)
                outcomes.append(True)
            except MassError:
                outcomes.append(False)
        assert outcomes == [number >= (attempts or 99) for number in range(1, 6)]


def test_an_earlier_training_is_kept(place, capfd):
    """Another command, whether of the same step or of another, does not delete what a training has made."""
    def train(name, *words, resumable=True):
        Steps("run").run(Step(name, (sys.executable, "grow.py", *words), "out", (), resumable))

    (place / "grow.py").write_text("import os, sys; os.makedirs('out', exist_ok=True); "
                                   "open('out/' + sys.argv[1], 'a').write('line'); sys.exit(int(sys.argv[2]))")
    train("train", "a", "0")
    (place / "out" / "of_the_user").write_text("")
    train("train", "a", "0")
    assert "up to date: train" in capfd.readouterr().out, "files of others do not matter"
    with pytest.raises(MassError):
        train("train", "b", "1")  # interrupted
    assert "it is now run/set_aside/out-1" in capfd.readouterr().out
    assert is_finished("run", "train") is False
    train("reuse", "c", "0", resumable=False)
    assert sorted(path.name for path in (place / "out").iterdir()) == ["c"]
    found = {path.name: sorted(file.name for file in path.iterdir()) for path in (place / "run/set_aside").iterdir()}
    assert found == {"out-1": ["a", "of_the_user"], "out-2": ["b"]}
    assert is_finished("run", "reuse") and not is_finished("run", "train")
    train("reuse", "d", "0", resumable=False)
    assert len(list((place / "run/set_aside").iterdir())) == 2, "what is not a training is made again"
    for note in (place / "run/steps").iterdir():
        note.unlink()
    train("reuse", "e", "0", resumable=False)
    assert (place / "run/set_aside/out-3/d").exists(), "nobody knows what has made it"


def test_a_note_ends_when_a_part_of_its_output_is_replaced(place):
    (place / "make.py").write_text("import os, sys; os.makedirs('out', exist_ok=True); open(sys.argv[1], 'w')")
    for name, output in (("folder", "out"), ("file", "out/codes")):
        Steps("run").run(Step(name, (sys.executable, "make.py", "out/codes"), output))
    assert is_finished("run", "file") and not is_finished("run", "folder")


def test_the_commands_of_all_steps_are_known(place):
    for _ in range(2):
        steps = Steps("run")
        run_chain(steps)
        assert steps.commands == [["copy_file.py", "a.txt", "b.txt"], ["copy_file.py", "b.txt", "c.txt"]]


def test_a_command_that_the_system_kills_is_reported(place):
    (place / "die.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(MassError, match="step 'first' was ended by SIGKILL.*memory") as caught:
        Steps("run").run(Step("first", (sys.executable, "die.py"), "b.txt"))
    assert caught.value.exit_code == 137


def test_paths_through_symbolic_links(tmp_path, monkeypatch):
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "deep")
    monkeypatch.chdir(tmp_path)
    found = os.path.join(ROOT, path_in_root("link/../out"))  # as the system resolves it
    assert os.path.realpath(found) == str(tmp_path.resolve() / "real" / "out") and not os.path.isabs(path_in_root("a"))


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


def write_trial(folder, step=0.5, validation=2.0, steps=30, epoch_ends=()):
    """The history of a trial run that validates every ten steps and at the ends of epochs.

    The first ten steps and the first validation take half a minute longer, to compile, and after that validation the
    losses are drawn for the first time.
    """
    folder.mkdir(parents=True)
    entries, seconds = [], 0.0
    for number in range(1, steps + 1):
        seconds += step + 30.0 * (number == 1)
        if number % 10 == 0:
            entries.append({"event": "train", "step": number, "seconds": seconds})
        if validation and (number % 10 == 0 or number in epoch_ends):
            seconds += validation + 30.0 * (number == 10)
            entries.append({"event": "valid", "step": number, "seconds": seconds})
            seconds += 0.7 * (number == 10)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return str(folder)


def test_the_first_steps_of_a_trial_do_not_count(tmp_path):
    assert speed_of(write_trial(tmp_path / "a")) == pytest.approx((0.5, 2.0))
    assert speed_of(write_trial(tmp_path / "b", epoch_ends=(9, 24, 27))) == pytest.approx((0.5, 2.0))
    assert speed_of(write_trial(tmp_path / "c", validation=0.0)) == pytest.approx((0.5, 0.0))
    with pytest.raises(MassError, match="ended after 20 steps, too few"):
        speed_of(write_trial(tmp_path / "d", steps=20))
    patient = load_config(str(ROOT / "config/gigaword_small.json"), ["training_config.patience=1", *PROBE_SETTINGS])
    assert patient.training_config.patience == 0, "a trial is not ended by validations that are no better"


def plan(steps, warmup=100):
    return config_from_dict({"training_config": {"max_steps": steps, "valid_steps": 200},
                             "learn_rate_config": {"warmup_steps": warmup, "decay_steps": steps - warmup},
                             "checkpoint_options": {"save_ckpt_steps": 400}})


def test_all_trainings_are_shortened_by_one_factor(tmp_path):
    long = PlannedTraining(plan(2000), write_trial(tmp_path / "a", validation=0.0), 1)  # 1,000 s
    short = PlannedTraining(plan(500), write_trial(tmp_path / "b", step=1.0, validation=0.0), 2)  # 2 x 500 s
    first, second = (dict(setting.split("=") for setting in settings) for settings in shorten([long, short], 10.0))
    assert first == {"training_config.max_steps": "600", "training_config.valid_steps": "60",
                     "learn_rate_config.warmup_steps": "30", "learn_rate_config.decay_steps": "570",
                     "learn_rate_config.decay_start_step": "3600", "checkpoint_options.save_ckpt_steps": "120"}
    assert second["training_config.max_steps"] == "150"
    assert int(first["training_config.max_steps"]) * 0.5 + 2 * int(second["training_config.max_steps"]) == 600


def test_validations_are_part_of_the_time(tmp_path):
    """2,000 steps of 0.5 s and 10 validations of 8 s, in 580 s: the validations take 80 s, and 1,000 steps the rest."""
    training = PlannedTraining(plan(2000), write_trial(tmp_path / "a", validation=8.0), 1)
    [settings] = shorten([training], 580 / 60)
    assert "training_config.max_steps=1000" in settings and "training_config.valid_steps=100" in settings
    [settings] = shorten([training], 4.0)  # 60 of 240 s are a quarter: three quarters of ten validations
    assert "training_config.max_steps=360" in settings and "training_config.valid_steps=48" in settings
    with pytest.raises(MassError, match=r"--minutes 0.2 is too short.* at least 20 steps.* take 0.2 minutes together"):
        shorten([training], 0.2)
    assert "training_config.max_steps=20" in shorten([training], 20 * 0.5 / 0.75 / 60 + 1e-9)[0]
    once = config_from_dict({"training_config": {"max_steps": 2000}})
    assert PlannedTraining(once, training.probe_folder, 2).validation_seconds == pytest.approx(16.0)  # at its end


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
    with pytest.raises(MassError, match="10 of 1,000 steps are too few"):
        scaled_settings(plan(1000), 0.01)
    assert isinstance(plan(1000), Config)


def test_the_spelling_of_gigaword():
    assert in_gigaword_style("The U.S. paid $ 1.25 billion ( 3 % ) in 1999 .") == \
        "the u.s. paid $ #.## billion -lrb- # % -rrb- in #### ."
    styled = in_gigaword_style("A [ b ] { c } UNK <unk>")
    assert styled == "a -lsb- b -rsb- -lcb- c -rcb- UNK <unk>" and in_gigaword_style(styled) == styled
