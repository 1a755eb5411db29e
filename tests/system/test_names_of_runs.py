"""A run whose folder and data have names that are not UTF-8 is trained, resumed and evaluated."""
import json

from tests.helpers.scripts import run_script
from tests.helpers.tiny_training import training_nodes, write_pairs

BAD = b"\xff".decode(errors="surrogateescape")


def test_a_run_in_a_folder_that_is_not_utf8(tmp_path):
    folder = tmp_path / f"a{BAD}"
    folder.mkdir()
    nodes = training_nodes("", training_config={"max_steps": 4})
    (folder / "config.json").write_text(json.dumps(nodes))
    name = write_pairs(folder, f"train{BAD}", 22).rpartition("/")[2]
    train = ("train.py", "--config", "config.json", "--set", f"dataset_config.fine_tune_dataset={name}",
             "--run_folder", f"run{BAD}")
    options = {"cwd": folder, "errors": "surrogateescape"}
    run_script(*train, **options)
    done = run_script(*train, "--resume", "--set", "training_config.max_steps=8", **options)
    assert "step 4" in done.stdout
    for report in ("r.html", "r.md"):
        run_script("eval.py", "--ckpt", f"run{BAD}", "--set", f"dataset_config.test_dataset={name}", "--output",
                   f"out{BAD}/predictions.jsonl", "--report", f"{BAD}{report}", "--overwrite", **options)
        assert (folder / f"{BAD}{report}").exists()
    run_script("weights_average.py", "--input_folder", f"run{BAD}", "--newest", 2, "--output_file", f"{BAD}.npz",
               **options)
    done = run_script("export.py", "--ckpt", f"run{BAD}", "--format", "huggingface", "--output", "x", "--tokenizer",
                      "none", code=2, **options)
    assert "other runtimes read paths that are UTF-8 only" in done.stderr
