"""Recipes as a user starts them: the commands that they print, and mistakes."""
import pytest

from tests.helpers.recipe_corpus import write_corpus
from tests.helpers.scripts import run_python, run_script

OWN = ("scripts/run_recipe.sh", "own", "--sentences", "news", "--pairs", "pairs")


@pytest.fixture
def text(tmp_path):
    return write_corpus(tmp_path)


def test_dry_run_prints_every_command_and_makes_nothing(text):
    done = run_script(*OWN, "--minutes", 3, "--seeds", "1,2", "--run_folder", "out", "--dry_run", cwd=text)
    commands = [line for line in done.stdout.splitlines() if line.startswith("+ ")]
    assert len(commands) == len(done.stdout.splitlines()) and not (text / "out").exists()
    for script, count in (("tokenize_corpus.py", 3), ("learn_subword.py", 1), ("apply_bpe_encoding.py", 3),
                          ("news_crawl.py", 2), ("gigaword.py", 1), ("train.py", 7), ("eval.py", 18)):
        assert sum(f" {script} " in command for command in commands) == count, script
    assert sum("model_config.random_seed=2" in command for command in commands) == 2


def test_pretrained_weights_are_taken_over(text):
    earlier = text / "earlier"
    for name in ("subword/all.bpe.codes", "subword/all_en.dict.bin", "pretrain/best.safetensors"):
        (earlier / name).parent.mkdir(parents=True, exist_ok=True)
        (earlier / name).touch()
    done = run_script(*OWN, "--pretrained", "earlier", "--run_folder", "out", "--dry_run", cwd=text)
    commands = [line for line in done.stdout.splitlines() if line.startswith("+ ")]
    for script, count in (("recipes.reuse", 1), ("learn_subword.py", 0), ("apply_bpe_encoding.py", 1),
                          ("news_crawl.py", 0), ("train.py", 2)):
        assert sum(f" {script} " in command for command in commands) == count, script
    assert not any("pre_train_dataset" in command for command in commands)
    (earlier / "pretrain" / "best.safetensors").unlink()
    refused = run_script(*OWN, "--pretrained", "earlier", "--run_folder", "out", cwd=text, code=1)
    assert "pretrain/best.safetensors is missing" in refused.stderr and not (text / "out").exists()


def test_objectives_are_compared_at_equal_numbers_of_positions(text):
    (text / "out").mkdir()
    (text / "out" / "results.json").write_text('{"recipe": "own"}')
    done = run_python("from recipes.objectives import main; main()", "--run_folder", text / "out", "--dry_run")
    commands = [line for line in done.stdout.splitlines() if line.startswith("+ ")]
    pretrain = [command for command in commands if "fragment_ratio" in command]
    assert len(pretrain) == 13 and sum(" train.py " in command for command in commands) == 27
    positions = [(1.0 + float(setting(command, "dataset_config.fragment_ratio")))
                 * int(setting(command, "training_config.max_steps")) for command in pretrain]
    assert max(positions) < 1.001 * min(positions)
    assert sum("existed_ckpt" in command for command in commands) == 13
    assert not (text / "out" / "steps").exists()


def setting(command, key):
    return command.split(f"{key}=")[1].split()[0]


@pytest.mark.parametrize(("arguments", "code", "message"), [
    (["own", "--sentences", "news"], 2, "--pairs DIR (train, valid and test"),
    (["own", "--sentences", "news", "--pairs", "news"], 1, "lacks train.src.txt"),
    (["gigaword", "--data", "none"], 1, "published at https://github.com/harvardnlp/sent-summary"),
    (["cornell", "--data", "pairs", "--sentences", "none"], 1, "does not exist"),
    (["poems"], 2, "invalid choice: 'poems'"),
    (["own", "--seeds", "1,1"], 2, "'1,1' must be different whole numbers"),
    (["own", "--seeds", "1,x"], 2, "'1,x' must be different whole numbers"),
    (["own", "--sentences", "news", "--pairs", "pairs", "--minutes", "0"], 2, "must be above 0"),
    (["own", "--sentences", "news", "--pairs", "pairs", "--pretrained", ".", "--pretrain_set", "model_config.lr=1"], 2,
     "give one of them"),
    (["own", "--sentences", "news", "--pairs", "pairs", "--pretrain_set", "model_config.hiden=1", "--minutes", "1"], 2,
     "model_config.hiden"),
])
def test_mistakes_are_one_sentence(text, arguments, code, message):
    done = run_script("scripts/run_recipe.sh", *arguments, "--run_folder", "out", cwd=text, code=code)
    assert message in done.stderr
    assert done.stderr.splitlines()[-1].removeprefix("sh ").startswith("run_recipe.sh: error: ")
    assert not (text / "out").exists()
