"""Whole system: the recipe for one's own corpus, from text to the report, and a second call."""
import json

from tests.helpers.recipe_corpus import write_corpus
from tests.helpers.scripts import run_script

SETTINGS = {
    "model_config": {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
                     "beam_width": 2, "max_decode_length": 8},
    "dataset_config": {"max_tokens": 512},
    "training_config": {"max_steps": 6, "valid_steps": 3},
    "learn_rate_config": {"warmup_steps": 2, "decay_steps": 4},
    "checkpoint_options": {"save_ckpt_steps": 3},
}
OWN = ("scripts/run_recipe.sh", "own", "--sentences", "news", "--pairs", "pairs")


def test_a_corpus_of_ones_own_to_the_end_and_again(tmp_path):
    text = write_corpus(tmp_path)
    settings = [f"{node}.{key}={value}" for node, values in SETTINGS.items() for key, value in values.items()]
    both = [word for flag in ("--pretrain_set", "--finetune_set") for setting in settings for word in (flag, setting)]
    arguments = (*OWN, "--run_folder", "out", *both)
    done = run_script(*arguments, cwd=text)
    results = json.loads((text / "out" / "results.json").read_text())
    assert results["test_pairs"] == 40 and results["training"]["pretrain"]["steps"] == 6
    assert results["model"]["hidden_size"] == 16
    texts = {line for side in ("src", "tgt") for line in (text / f"pairs/train.{side}.txt").read_text().splitlines()}
    assert results["data"]["pretrain"]["examples"] == 396 + len(texts), "of the sentences and of the training pairs"
    assert {"mass", "scratch"} == set(results["models"]) and "first 10 words" in done.stdout
    assert "length_penalty_weight of mass by ROUGE-2" in done.stdout
    assert (text / "out" / "scores" / "mass_rouge" / "report.html").exists()

    again = run_script(*arguments, cwd=text)
    assert again.stdout.count("up to date: ") == done.stdout.count("\n+ ")
    assert "\n+ " not in again.stdout
