"""Recipes as a user starts them: the commands that they print, and mistakes."""
import json
import os
import sys

import pytest

from src.common.json_files import write_json
from src.text.text_processing import TextProcessing
from tests.helpers.paths import ROOT
from tests.helpers.recipe_corpus import write_corpus
from tests.helpers.scripts import run_python, run_script

PAIRS = ("scripts/run_recipe.sh", "own", "--pairs", "pairs")
OWN = (*PAIRS, "--sentences", "news")
RESULTS = {"recipe": "own", "command": "", "commands": [], "training": {}, "models": {}}


@pytest.fixture
def text(tmp_path):
    return write_corpus(tmp_path)


def test_dry_run_prints_every_command_and_makes_nothing(text):
    done = run_script(*OWN, "--minutes", 3, "--seeds", "1,2", "--run_folder", "out", "--dry_run", cwd=text)
    commands = [line for line in done.stdout.splitlines() if line.startswith("+ ")]
    # eval.py: ROUGE and perplexity of four models, and for two of them four penalties, two lengths and one n-gram size
    assert len(commands) == len(done.stdout.splitlines()) and not (text / "out").exists()
    for script, count in (("tokenize_corpus.py", 3), ("learn_subword.py", 1), ("apply_bpe_encoding.py", 3),
                          ("news_crawl.py", 2), ("gigaword.py", 1), ("train.py", 7), ("eval.py", 22)):
        assert sum(f" {script} " in command for command in commands) == count, script
    assert sum("model_config.random_seed=2" in command for command in commands) == 2


def test_pretrained_weights_are_taken_over(text):
    earlier = finished_run(text / "earlier")
    done = run_script(*PAIRS, "--pretrained", "earlier", "--run_folder", "out", "--dry_run", cwd=text)
    commands = [line for line in done.stdout.splitlines() if line.startswith("+ ")]
    for script, count in (("recipes.reuse", 1), ("learn_subword.py", 0), ("apply_bpe_encoding.py", 1),
                          ("news_crawl.py", 0), ("train.py", 2)):
        assert sum(f" {script} " in command for command in commands) == count, script
    assert not any("pre_train_dataset" in command for command in commands)
    [reuse] = [command.split() for command in commands if "recipes.reuse" in command]
    assert (ROOT / reuse[reuse.index("--subword") + 1]).resolve() == (earlier / "subword").resolve()
    with_minutes = run_script(*PAIRS, "--pretrained", "earlier", "--run_folder", "out", "--minutes", 3, "--dry_run",
                              cwd=text)
    assert sum(" train.py " in line for line in with_minutes.stdout.splitlines()) == 3
    refused = run_script(*PAIRS, "--pretrained", "earlier", "--run_folder", "earlier", cwd=text, code=2)
    assert "is the run folder itself" in refused.stderr and (earlier / "subword" / "all.bpe.codes").exists()
    (earlier / "steps" / "pretrain.json").unlink()
    refused = run_script(*PAIRS, "--pretrained", "earlier", "--run_folder", "out", cwd=text, code=1)
    assert "the pre-training is not finished" in refused.stderr
    (earlier / "pretrain" / "best.safetensors").unlink()
    refused = run_script(*PAIRS, "--pretrained", "earlier", "--run_folder", "out", cwd=text, code=1)
    assert "pretrain/best.safetensors is missing" in refused.stderr and not (text / "out").exists()


def test_pre_training_continues_from_earlier_weights(text):
    """With the earlier codes and vocabulary, on the text of this call, and with another seed."""
    earlier = finished_run(text / "earlier")
    continued = (*OWN, "--pretrained", "earlier", "--continue_pretraining", "--run_folder", "out", "--dry_run")
    done = run_script(*continued, "--pretrain_set", "learn_rate_config.lr=0.5", cwd=text)
    commands = done.stdout.splitlines()
    for script, count in (("recipes.reuse", 1), ("learn_subword.py", 0), ("apply_bpe_encoding.py", 3),
                          ("news_crawl.py", 2), ("train.py", 3)):
        assert sum(f" {script} " in command for command in commands) == count, script
    assert not any("--vocab_path" in command for command in commands)
    pretrain, mass, scratch = [command for command in commands if " train.py " in command]
    start, best = (ROOT / setting(command, "existed_ckpt") for command in (pretrain, mass))
    assert start.resolve() == (text / "out" / "pretrain_start" / "best.safetensors").resolve()
    assert best.resolve() == (text / "out" / "pretrain" / "best.safetensors").resolve()
    assert setting(pretrain, "random_seed") == "8" and setting(pretrain, "lr") == "0.5"
    assert "existed_ckpt" not in scratch
    chosen = run_script(*continued, "--pretrain_set", "model_config.random_seed=5", cwd=text)
    [pretrain] = [line for line in chosen.stdout.splitlines() if "pre_train_dataset" in line]
    assert pretrain.rindex("random_seed=5") > pretrain.index("random_seed=8")
    (earlier / "pretrain" / "config.json").write_text("{")
    refused = run_script(*continued, cwd=text, code=2)
    assert "pretrain/config.json, line 1" in refused.stderr


def test_weights_of_other_text_are_not_taken_over(text):
    """Weights for text in the spelling of Gigaword do not suit the recipe `own`."""
    TextProcessing("nltk", lower_case=True).save(str(finished_run(text / "earlier") / "pretrain"))
    refused = run_script(*PAIRS, "--pretrained", "earlier", "--run_folder", "out", cwd=text, code=1)
    assert "processed in another way (lower_case is true there and false here)" in refused.stderr
    lower = "dataset_config.lower_case=true"
    run_script(*PAIRS, "--pretrained", "earlier", "--finetune_set", lower, "--run_folder", "out", "--dry_run", cwd=text)


@pytest.mark.parametrize(("flags", "named"), [([], "finetune"), (["--continue_pretraining"], "pretrain")])
def test_weights_of_another_network_are_not_taken_over(text, flags, named):
    """Before hours of preparation: train.py would refuse them."""
    finished_run(text / "earlier")
    other = ["--finetune_set", "model_config.hidden_size=64"]
    command = [*PAIRS, "--pretrained", "earlier", *flags, "--run_folder", "out"]
    refused = run_script(*command, *other, cwd=text, code=1)
    assert "(model_config.hidden_size is 256 there and 64 here); give --finetune_set model_config.hidden_size=256" \
        in refused.stderr
    other[0] = f"--{named}_set"
    assert f"give --{named}_set model_config.hidden_size=256" in run_script(*command, *other, cwd=text, code=1).stderr
    assert not (text / "out").exists()


def test_weights_of_other_codes_are_not_taken_over(text):
    earlier = finished_run(text / "earlier")
    (text / "codes").write_text("#version: 0.2\nt h\n")
    TextProcessing("nltk", str(text / "codes")).save(str(earlier / "pretrain"))
    refused = run_script(*PAIRS, "--pretrained", "earlier", "--run_folder", "out", cwd=text, code=1)
    assert "subword/all.bpe.codes has changed since the pre-training" in refused.stderr


def test_the_python_may_be_named_without_a_path(text):
    environment = {"PYTHON": os.path.basename(sys.executable),
                   "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])}
    run_script(*OWN, "--run_folder", "out", "--dry_run", cwd=text, environment=environment)


def test_a_repository_and_a_folder_behind_links(text):
    """`..` leads elsewhere from a folder that is reached through a link."""
    (text / "deep" / "er").mkdir(parents=True)
    (text / "link").symlink_to(text / "deep" / "er")
    (text / "program").symlink_to(ROOT)
    (text / "deep" / "pairs").symlink_to(text / "pairs")
    done = run_script(*PAIRS[:-1], "link/../pairs", "--run_folder", "link/../out", "--dry_run", cwd=text,
                      root=text / "program")
    [arrange] = [line.split() for line in done.stdout.splitlines() if "recipes.arrange" in line]
    for flag, folder in (("--output_folder", text / "deep" / "out" / "text"), ("--data", text / "pairs")):
        assert (ROOT / arrange[arrange.index(flag) + 1]).resolve() == folder.resolve()


def finished_run(folder):
    """Write what a finished pre-training leaves of a run folder."""
    for name in ("subword/all.bpe.codes", "subword/all_en.dict.bin", "pretrain/best.safetensors",
                 "pretrain/ckpt-100.safetensors", "pretrain/ckpt-100.state.json", "pretrain/latest.safetensors",
                 "pretrain/config.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    config = json.loads((ROOT / "config" / "news_small.json").read_text())
    config["model_config"]["random_seed"] = 7
    (folder / "pretrain" / "config.json").write_text(json.dumps(config))
    (folder / "steps").mkdir()
    note = {"identity": {}, "outputs": [], "resumable": True, "output": [["pretrain/best.safetensors", 1, 1]]}
    write_json(str(folder / "steps" / "pretrain.json"), note, checksum=True)
    return folder


def test_only_the_best_checkpoint_is_copied(tmp_path):
    earlier = finished_run(tmp_path / "earlier")
    run_python("from recipes.reuse import main; main()", "--subword", earlier / "subword", "--pretrain",
               earlier / "pretrain", "--output_folder", tmp_path / "new")
    copied = {str(path.relative_to(tmp_path / "new")) for path in (tmp_path / "new").glob("*/*")}
    assert copied == {"subword/all.bpe.codes", "subword/all_en.dict.bin", "pretrain/best.safetensors",
                      "pretrain/config.json"}
    run_python("from recipes.reuse import main; main()", "--subword", earlier / "subword", "--pretrain",
               earlier / "pretrain", "--output_folder", tmp_path / "more", "--to_continue")
    assert {path.name for path in (tmp_path / "more").iterdir()} == {"subword", "pretrain_start"}


def test_a_run_is_not_copied_into_itself(tmp_path):
    """A trailing slash does not change the name of the copy, and a second copy replaces the first."""
    earlier = finished_run(tmp_path / "earlier")
    reuse = "from recipes.reuse import main; from src.common.errors import run; run(main)"
    for _ in range(2):
        run_python(reuse, "--subword", f"{earlier}/subword/", "--pretrain", f"{earlier}/pretrain/", "--output_folder",
                   tmp_path / "new")
        assert (tmp_path / "new" / "subword" / "all.bpe.codes").exists()
        (tmp_path / "new" / "finetuned").touch()
    refused = run_python(reuse, "--subword", earlier / "subword", "--pretrain", earlier / "pretrain", "--output_folder",
                         earlier, code=2)
    assert "is the earlier run itself" in refused.stderr and (earlier / "subword" / "all.bpe.codes").exists()


def test_objectives_are_compared_at_equal_numbers_of_positions(text):
    (text / "out" / "records" / "pretrain").mkdir(parents=True)
    (text / "out" / "results.json").write_text(json.dumps(RESULTS))
    done = run_python("from recipes.objectives import main; main()", "--run_folder", text / "out", "--dry_run")
    commands = [line for line in done.stdout.splitlines() if line.startswith("+ ")]
    pretrain = [command for command in commands if "fragment_ratio" in command]
    assert len(pretrain) == 13 and sum(" train.py " in command for command in commands) == 27
    positions = [(1.0 + float(setting(command, "dataset_config.fragment_ratio")))
                 * int(setting(command, "training_config.max_steps")) for command in pretrain]
    assert max(positions) < 1.001 * min(positions)
    assert sum("existed_ckpt" in command for command in commands) == 13
    assert not (text / "out" / "steps").exists()


def test_a_wrong_folder_or_setting_of_the_objectives_is_one_sentence(text):
    objectives = "from recipes.objectives import main; from src.common.errors import run; run(main)"
    refused = run_python(objectives, "--run_folder", text, code=1)
    assert "results.json" in refused.stderr
    (text / "results.json").write_text(json.dumps({**RESULTS, "recipe": "poems"}))
    refused = run_python(objectives, "--run_folder", text, code=1)
    assert "is of the recipe 'poems', which is not known here" in refused.stderr
    (text / "results.json").write_text(json.dumps(RESULTS))
    refused = run_python(objectives, "--run_folder", text, code=1)
    assert "folder of the data sets of pre-training" in refused.stderr
    refused = run_python(objectives, "--run_folder", text, "--finetune_set", "model_config.hiden=1", code=2)
    assert "model_config.hiden" in refused.stderr and not (text / "steps").exists()
    (text / "records" / "pretrain").mkdir(parents=True)
    refused = run_python(objectives, "--run_folder", text, "--pretrain_set", "training_config.max_steps=20",
                         "--dry_run", code=1)
    assert "19 of 20 steps are too few" in refused.stderr and "+ " not in refused.stdout


def setting(command, key):
    return command.split(f"{key}=")[1].split()[0]


@pytest.mark.parametrize(("arguments", "code", "message"), [
    (["own", "--sentences", "news"], 2, "--pairs DIR (train, valid and test"),
    (["own", "--sentences", "news", "--pairs", "news"], 1, "lacks train.src.txt"),
    (["gigaword", "--data", "none"], 1, "published at https://github.com/harvardnlp/sent-summary"),
    (["cornell", "--data", "pairs", "--sentences", "none"], 1, "does not exist"),
    (["poems"], 2, "invalid choice: 'poems'"),
    (["own", "--seeds", "1,1"], 2, "'1,1' must be different whole numbers"),
    (["own", "--seeds", "1,01"], 2, "'1,01' must be different whole numbers"),
    (["own", "--seeds", "1,x"], 2, "'1,x' must be different whole numbers"),
    (["own", "--sentences", "news", "--pairs", "pairs", "--minutes", "0"], 2, "must be above 0"),
    (["own", "--pairs", "pairs", "--pretrained", ".", "--pretrain_set", "model_config.lr=1"], 2,
     "--pretrain_set is for the pre-training, which --pretrained replaces"),
    (["own", "--pairs", "pairs", "--pretrained", ".", "--sentences", "news"], 2,
     "--sentences is for the pre-training, which --pretrained replaces"),
    (["own", "--sentences", "news", "--pairs", "pairs", "--continue_pretraining"], 2,
     "--pretrained must name the run folder to continue from"),
    (["own", "--pairs", "pairs", "--run_folder", "a,b"], 2, "a comma separates paths"),
    (["own", "--sentences", "pairs", "--pairs", "pairs"], 2, "must not be pre-trained on"),
    (["quickstart", "--data", "pairs"], 2, "--data: the recipe quickstart makes its text itself"),
    (["quickstart", "--train_pairs", "9"], 2, "--train_pairs: the recipe quickstart makes its text itself"),
    (["own", "--sentences", "news", "--pairs", "pairs", "--pretrain_set", "model_config.hiden=1", "--minutes", "1"], 2,
     "model_config.hiden"),
])
def test_mistakes_are_one_sentence(text, arguments, code, message):
    done = run_script("scripts/run_recipe.sh", arguments[0], "--run_folder", "out", *arguments[1:], cwd=text, code=code)
    assert message in done.stderr
    assert done.stderr.splitlines()[-1].removeprefix("sh ").startswith("run_recipe.sh: error: ")
    assert not (text / "out").exists()
