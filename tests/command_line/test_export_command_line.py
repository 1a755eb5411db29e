"""export.py and import_weights.py as users call them."""
import json
from importlib.util import find_spec

import pytest

from config.loading import save_config
from src.utils.load_weights import load_weights, save_weights
from tests.helpers.exporting import SENTENCES, make_export_model
from tests.helpers.scripts import output_of, run_script


def test_wrong_arguments_are_refused_before_anything_is_loaded(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("x")
    done = run_script("export.py", "--ckpt", tmp_path, "--format", "huggingface", "--output", tmp_path / "full", code=2)
    assert "is not empty and holds no exported model: choose another folder" in done.stderr
    done = run_script("export.py", "--ckpt", tmp_path, "--format", "caffe", "--output", tmp_path / "new", code=2)
    assert "invalid choice: 'caffe'" in done.stderr
    done = run_script("import_weights.py", "--input", tmp_path / "no", "--output", tmp_path / "new", code=1)
    assert "--input" in done.stderr and "does not exist" in done.stderr


@pytest.mark.skipif(not all(map(find_spec, ("torch", "transformers", "tokenizers"))),
                    reason="requirements-export.txt is not installed")
def test_out_and_back(tmp_path):
    files = make_export_model(tmp_path / "run")
    save_config(files.config, str(tmp_path / "trained.json"))
    (tmp_path / "text").write_text("\n".join(SENTENCES) + "\n", encoding="utf-8")
    out = ["--ckpt", "run", "--format", "huggingface", "--output", "exported", "--sentences", "text"]
    printed = output_of("export.py", *out, cwd=tmp_path)
    assert "14 of 14 equal" in printed and printed.endswith("written: exported\n")
    plain = load_weights(files.checkpoint)
    save_weights(str(tmp_path / "plain.safetensors"), plain.arrays, {})
    [codes] = (tmp_path / "run").glob("codes-*")
    bare = ["--ckpt", "plain.safetensors", "--vocab", files.vocabulary_path, "--tokenizer", "nltk",
            "--codes", codes, "--format", "huggingface", "--output", "bare",
            "--no-verify"]
    assert "give --config" in run_script("export.py", *bare, cwd=tmp_path, code=2).stderr
    assert "written: bare" in output_of("export.py", *bare, "--config", "trained.json", cwd=tmp_path)
    assert "give --overwrite to replace it" in run_script("export.py", *out, cwd=tmp_path, code=2).stderr
    assert "written: exported" in output_of("export.py", *out, "--overwrite", "--no-verify", cwd=tmp_path)
    run_script("import_weights.py", "--input", "exported", "--output", "back", cwd=tmp_path)
    before, after = (json.loads((tmp_path / folder).read_text()) for folder in ("trained.json", "back/config.json"))
    assert after["model_config"] == before["model_config"], "with the number formats"
    predictions = [run_script("eval.py", "--ckpt", folder, "--input", "text", cwd=tmp_path).stdout
                   for folder in ("run", "back")]
    assert predictions[0] == predictions[1] and predictions[0].count("\n") == len(SENTENCES)
