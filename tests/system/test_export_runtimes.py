"""Export to CTranslate2, ONNX Runtime and MINDIR with a tiny model, compared with what eval.py computes."""
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from src.checkpoints.find import find_model
from src.checkpoints.load import network_arrays
from src.common.errors import MassError
from src.export.exporter import export_model, load_for_export
from src.export.options import ExportOptions
from src.export.registry import FORMATS
from src.inference.model import load_model
from src.inference.raw_text import TextInput
from src.inference.text_generator import TextGenerator, best_texts
from src.transformer.decoding.constraints import NEVER_PREDICTED
from src.utils.dictionary import EOS_INDEX
from src.utils.load_weights import load_weights, save_weights
from tests.helpers.exporting import SENTENCES, make_export_model, text_of

RUNTIMES = ("ctranslate2", "onnx", "mindir")
LINES = ["", *SENTENCES, "我爱北京", " "]


def make_model(folder, name, **changes):
    """Return a run folder. For CTranslate2, special tokens are improbable, as in trained models, and may repeat.

    CTranslate2 leaves forbidden tokens out of its softmax, so they must not have a large part of the probability.
    """
    if name != "ctranslate2":
        return make_export_model(folder, **changes)
    files = make_export_model(folder, **{"no_repeat_ngram_size": 0, **changes})
    weights = load_weights(files.checkpoint)
    end = weights.arrays["embedding.table"][EOS_INDEX]
    weights.arrays["embedding.table"][list(NEVER_PREDICTED)] = -5 * end
    save_weights(files.checkpoint, weights.arrays, weights.metadata)
    return files


def require_packages(name):
    target = FORMATS[name]
    for package in (*target.packages, *target.runtime_packages):
        pytest.importorskip(package, reason="requirements-export.txt is not installed")


def export(files, folder, name, **options):
    sentences = folder.parent / "sentences.txt"
    sentences.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return export_model(files, text_of(files), ExportOptions(name, str(folder), sentences=str(sentences), **options))


def predictions_of_eval(files):
    """What eval.py writes for LINES."""
    generator = TextGenerator(load_model(files), text_of(files), files.config.dataset_config.eval_batch_size, True)
    return best_texts(generator.generate(TextInput(files, text_of(files)).read(LINES, "lines")))


def run_program(arguments, text):
    """Run Python as a user of the folder does, who does not have this project."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([sys.executable, *arguments], input=text.encode("utf-8"), capture_output=True, timeout=300,
                          cwd="/", env=environment)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode("utf-8")


@pytest.fixture(scope="module", params=RUNTIMES)
def model(request, tmp_path_factory):
    """A run folder, its export, and the result of the verification."""
    require_packages(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    files = make_model(folder / "run", request.param)
    return files, folder / "exported", export(files, folder / "exported", request.param)


def test_everything_is_equal(model):
    _, _, verification = model
    assert [check.name for check in verification.checks] == [
        "token ids of raw text", "log-probabilities", "predictions, generate.py"]
    assert not verification.failed
    assert all(check.found.startswith(("15 of 15 equal", "differ")) for check in verification.checks)


def test_the_program_alone_writes_what_eval_writes(model):
    files, folder, _ = model
    written = run_program([str(folder / "generate.py")], "\n".join(LINES) + "\n")
    assert written.removesuffix("\n").split("\n") == predictions_of_eval(files)


def test_the_example_of_the_card_works(model):
    _, folder, _ = model
    example = (folder / "README.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    assert run_program(["-c", example], "").startswith("[")


@pytest.mark.parametrize(("name", "changes"), [
    ("onnx", {"length_penalty_weight": 2, "ban_unk": "true", "min_decode_length": 4, "no_repeat_ngram_size": 2}),
    ("mindir", {"length_penalty_weight": 0, "copy_unk": "true", "beam_width": 1, "max_decode_length": 1})])
def test_settings_of_the_search_are_exported(tmp_path, name, changes):
    require_packages(name)
    verification = export(make_export_model(tmp_path / "run", **changes), tmp_path / "exported", name)
    assert not verification.failed and verification.checks[-1].found.startswith("15 of 15 equal")


@pytest.mark.parametrize("changes", [
    {"length_penalty_weight": 0, "beam_width": 1}, {"length_penalty_weight": 0},
    {"length_penalty_weight": 0, "beam_width": 1, "max_decode_length": 4},
    {"max_decode_length": 1}, {"beam_width": 1, "length_penalty_weight": 0, "min_decode_length": 4, "ban_unk": "true"}])
def test_settings_of_the_search_of_ctranslate2(tmp_path, changes):
    require_packages("ctranslate2")
    verification = export(make_model(tmp_path / "run", "ctranslate2", **changes), tmp_path / "exported", "ctranslate2")
    assert not verification.failed and verification.checks[-1].found.startswith("15 of 15 equal")


@pytest.mark.parametrize("name", ["ctranslate2", "onnx"])  # MINDIR is written by our own network
def test_gelu_is_exported(tmp_path, name):
    require_packages(name)
    files = make_model(tmp_path / "run", name)
    weights = load_weights(files.checkpoint)
    weights.metadata["config"]["model_config"]["hidden_act"] = "gelu"
    save_weights(files.checkpoint, weights.arrays, weights.metadata)
    assert not export(find_model(checkpoint=files.checkpoint), tmp_path / "exported", name).failed


@pytest.mark.parametrize("quantize", FORMATS["ctranslate2"].quantizations)
def test_every_quantization_runs_or_is_refused_in_one_sentence(tmp_path, quantize):
    require_packages("ctranslate2")
    files = make_model(tmp_path / "run", "ctranslate2")
    try:
        export(files, tmp_path / "exported", "ctranslate2", quantize=quantize)
    except MassError as error:
        assert f"--quantize {quantize}: CTranslate2 cannot compute in {quantize} on this processor" in str(error)
        assert quantize != "float16", "matrices in float16 are computed with in float32"
        return
    assert run_program([str(tmp_path / "exported" / "generate.py")], "the cat\n").count("\n") == 1


def test_a_vocabulary_of_any_name_is_found_by_the_program(tmp_path):
    require_packages("onnx")
    files = make_export_model(tmp_path / "run")
    vocabulary = tmp_path / "my words.dict"
    shutil.copyfile(files.vocabulary_path, vocabulary)
    named = find_model(checkpoint=files.checkpoint, vocabulary=str(vocabulary))
    assert not export(named, tmp_path / "exported", "onnx").failed


def test_unknown_words_are_copied(tmp_path):
    """By the search that the runners of ONNX and MINDIR share."""
    name = "onnx"
    require_packages(name)
    files = make_export_model(tmp_path / "run", copy_unk="true", max_decode_length=20, no_repeat_ngram_size=0)
    assert not export(files, tmp_path / "exported", name).failed


@pytest.mark.parametrize("name", ["ctranslate2", "onnx"])
def test_a_model_that_samples_is_exported_with_beam_search(tmp_path, name):
    require_packages(name)
    files = make_model(tmp_path / "run", name, decode_strategy="sample", top_k=5, length_penalty_weight=0)
    verification = export(files, tmp_path / "exported", name)
    assert not verification.failed and verification.checks[-1].found.startswith("15 of 15 equal")
    card = (tmp_path / "exported" / "README.md").read_text(encoding="utf-8")
    assert "- Beam search with 3 hypotheses." in card and "was configured to sample" in card
    assert "- Sampling" not in card


def test_changing_the_exported_weights_leaves_the_network_alone(tmp_path):
    files = make_export_model(tmp_path / "run")
    model = load_for_export(files, text_of(files), FORMATS["onnx"])
    before = model.weights["embedding.table"].copy()
    model.weights["embedding.table"][:] = 0
    model.positions[:] = 0
    assert np.array_equal(network_arrays(model.network)["embedding.table"], before)
    assert model.network.transformer.embedding.positions.encodings.asnumpy().any()


@pytest.mark.parametrize("name", ["ctranslate2", "onnx"])
def test_quantized_models_are_smaller_and_report_what_differs(tmp_path, name):
    require_packages(name)
    files = make_export_model(tmp_path / "run")
    verification = export(files, tmp_path / "exported", name, quantize="int8")
    assert not verification.failed and not verification.checks[1].required
    assert 0 < float(verification.checks[1].found.split()[4]) < 2  # eval.py has computed with weights of full precision
    card = (tmp_path / "exported" / "README.md").read_text(encoding="utf-8")
    assert "quantized to int8" in card


def test_a_wrong_export_is_refused(tmp_path, monkeypatch):
    require_packages("onnx")
    monkeypatch.setattr("src.export.onnx.network.EPSILON", 0.5)
    with pytest.raises(MassError, match="does not compute what eval.py does: log-probabilities"):
        export(make_export_model(tmp_path / "run"), tmp_path / "exported", "onnx")
    assert not (tmp_path / "exported").exists()
