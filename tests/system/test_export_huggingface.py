"""Export to transformers, and the way back, with a tiny model; everything is compared with what eval.py computes."""
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from src.common.errors import MassError, UsageError
from src.common.files import file_digest
from src.export.exporter import export_model
from src.export.importer import import_model
from src.export.options import ExportOptions
from src.export.registry import FORMATS
from src.inference.model import load_model
from src.inference.raw_text import TextInput
from src.inference.text_generator import TextGenerator, best_texts
from src.utils.load_weights import load_weights
from tests.helpers.exporting import SENTENCES, make_export_model, text_of
from tests.helpers.tiny_model import TEXT

FORMAT = FORMATS["huggingface"]
for package in FORMAT.packages + FORMAT.runtime_packages:
    pytest.importorskip(package, reason="requirements-export.txt is not installed")

import torch  # noqa: E402
import transformers  # noqa: E402

CHINESE = ["我爱北京天安门", "他来到了网易杭研大厦 in Paris 。", "小明硕士毕业于中国科学院计算所"]


def export(files, folder, lines=SENTENCES, **options):
    sentences = folder.parent / "sentences.txt"
    sentences.write_text("\n".join(["", *lines]) + "\n", encoding="utf-8")
    return export_model(files, text_of(files), ExportOptions("huggingface", str(folder), sentences=str(sentences),
                                                             **options))


def predictions_of_eval(files):
    """What eval.py writes for SENTENCES."""
    generator = TextGenerator(load_model(files), text_of(files), files.config.dataset_config.eval_batch_size, True)
    return best_texts(generator.generate(TextInput(files, text_of(files)).read(SENTENCES, "sentences")))


def predictions(folder, **options):
    """What a user of the folder gets for SENTENCES."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder, **options).eval()
    batch = tokenizer(SENTENCES, return_tensors="pt", padding=True, truncation=True)
    with torch.inference_mode():
        return tokenizer.batch_decode(model.generate(**batch), skip_special_tokens=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A run folder whose search has no length penalty, its export, and the result of the verification.

    No prediction reaches the maximum length.
    """
    folder = tmp_path_factory.mktemp("model")
    files = make_export_model(folder / "run", length_penalty_weight=0, max_decode_length=40)
    return files, folder / "exported", export(files, folder / "exported")


def test_everything_is_equal_without_a_length_penalty(model):
    _, _, verification = model
    assert [check.name for check in verification.checks] == [
        "token ids of raw text", "log-probabilities", "predictions, generate",
        "predictions, generate (trust_remote_code)"]
    assert not verification.failed and all(check.found.startswith(("14 of 14 equal", "differ"))
                                           for check in verification.checks)
    assert verification.sentences == len(SENTENCES)  # the empty line is left out


def test_raw_text_gives_the_predictions_of_eval(model):
    files, folder, _ = model
    assert predictions(folder) == predictions_of_eval(files)


def test_the_own_search_has_our_length_penalty(tmp_path):
    files = make_export_model(tmp_path / "run", length_penalty_weight=0.6, ban_unk="true", min_decode_length=4)
    verification = export(files, tmp_path / "exported")
    assert not verification.failed
    assert [bool(check.required) for check in verification.checks] == [True, True, False, True]
    assert predictions(tmp_path / "exported", trust_remote_code=True) == predictions_of_eval(files)


@pytest.mark.parametrize("processing, codes, lines", [
    ({"tokenizer": "nltk"}, None, SENTENCES),
    ({"tokenizer": "nltk", "lower_case": True}, "", SENTENCES),
    ({"tokenizer": "none"}, None, ["the cat sat on <unk> </s> mat\u00a0s .", "(the) cat", "a  b\tc  ", " THE"]),
    ({"tokenizer": "jieba"}, "#version: 0.2\n北 京</w>\n计 算\n", CHINESE),
], ids=["case is kept", "words", "already tokenized", "chinese subwords"])
def test_other_texts(tmp_path, processing, codes, lines):
    model = {"processing": processing, "lines": [*TEXT, *lines[::2]]}
    files = make_export_model(tmp_path / "run", model if codes is None else {**model, "codes_text": codes})
    verification = export(files, tmp_path / "exported", lines)
    assert not verification.failed and verification.sentences == len(lines)
    card = (tmp_path / "exported" / "README.md").read_text(encoding="utf-8")
    assert ("tokenize_corpus.py --tokenizer jieba" in card) == (processing["tokenizer"] == "jieba")


def test_frequent_words_are_known_in_other_cases(tmp_path):
    """The vocabulary maps `The` to a frequent `the`, also in pieces of words."""
    lines = [*TEXT, *["the é cat"] * 250]
    model = {"processing": {"tokenizer": "nltk"}, "lines": lines}
    files = make_export_model(tmp_path / "run", model)
    assert files.vocabulary.text_index["É"] == files.vocabulary.index["é"] != 3
    assert not export(files, tmp_path / "exported", ["É Éa THE The CAT", "ÉT"]).failed


def test_sampling_is_exported_and_not_compared(tmp_path):
    files = make_export_model(tmp_path / "run", decode_strategy="sample", top_k=5)
    assert len(export(files, tmp_path / "exported").checks) == 2
    settings = json.loads((tmp_path / "exported" / "generation_config.json").read_text())
    assert settings["do_sample"] and settings["top_k"] == 5


def test_old_codes_are_refused(tmp_path):
    files = make_export_model(tmp_path / "run", {"codes_text": "t h\nth e\n"})
    with pytest.raises(MassError, match="version 0.1 cannot be exported"):
        export(files, tmp_path / "exported")


def test_the_card_says_what_was_exported_and_its_example_works(model):
    files, folder, _ = model
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert files.vocabulary.fingerprint in card and "3 hypotheses" in card and "14 of 14 equal" in card
    example = card.split("```python\n")[1].split("```")[0]
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and done.stdout.startswith("['"), done.stderr


@pytest.mark.parametrize("of_these_weights", [True, False])
def test_scores_of_the_weights_are_in_the_card(tmp_path, of_these_weights):
    files = make_export_model(tmp_path / "run")
    scores = {"rouge": {"rouge-1": 12.345}, "rouge_interval": None, "test_dataset": "pairs/news_test.tfrecord",
              "checkpoint_digest": file_digest(files.checkpoint) if of_these_weights else "0" * 64}
    (tmp_path / "run" / "metrics.json").write_text(json.dumps(scores))
    export(files, tmp_path / "exported", verify=False)
    card = (tmp_path / "exported" / "README.md").read_text()
    assert ("rouge rouge-1: 12.3" in card) == ("on `news_test.tfrecord`" in card) == of_these_weights
    assert "not verified" in card and "Apache License" in card


def test_a_wrong_export_is_refused_with_the_table(tmp_path, monkeypatch):
    files = make_export_model(tmp_path / "run")
    monkeypatch.setattr("src.export.huggingface.format.POSITION_TABLES", ())  # the table of Pegasus stays
    with pytest.raises(MassError, match="does not compute what eval.py does: log-probabilities") as error:
        export(files, tmp_path / "exported")
    assert "at most 0.0001  FAILED" in str(error.value) and not (tmp_path / "exported").exists()


def test_an_existing_output_is_kept(model, tmp_path):
    _, folder, _ = model
    with pytest.raises(UsageError, match="give --overwrite"):
        ExportOptions("huggingface", str(folder)).check()
    ExportOptions("huggingface", str(folder), overwrite=True).check()
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(UsageError, match="holds no exported model"):
        ExportOptions("huggingface", str(tmp_path), overwrite=True).check()


def test_the_round_trip_is_bit_exact(model, tmp_path):
    files, folder, _ = model
    path = import_model(str(folder), str(tmp_path / "run"))
    before, after = load_weights(files.checkpoint), load_weights(path)
    assert before.arrays.keys() == after.arrays.keys()
    assert all(before.arrays[name].tobytes() == after.arrays[name].tobytes() for name in before.arrays)
    assert after.metadata["vocabulary"]["fingerprint"] == before.metadata["vocabulary"]["fingerprint"]
    assert after.metadata["step"] == before.metadata["step"]
    assert text_of(files).encode(SENTENCES) == type(text_of(files)).load(str(tmp_path / "run")).encode(SENTENCES)


def test_a_model_that_was_trained_elsewhere_comes_back(model, tmp_path):
    files, folder, _ = model
    network = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder).train()
    ids = torch.tensor([[7, 8, 2]])
    network(input_ids=ids, labels=ids).loss.backward()
    torch.optim.SGD(network.parameters(), lr=0.1).step()
    network.save_pretrained(tmp_path / "trained")
    with pytest.raises(MassError, match="--like"):
        import_model(str(tmp_path / "trained"), str(tmp_path / "run"))
    path = import_model(str(tmp_path / "trained"), str(tmp_path / "run"), like=str(Path(files.checkpoint).parent))
    before, after = load_weights(files.checkpoint).arrays, load_weights(path).arrays
    assert np.array_equal(after["embedding.table"],
                          network.model.shared.weight.detach().numpy()[: len(files.vocabulary)])
    assert not np.array_equal(after["embedding.table"], before["embedding.table"])
