"""Finding a model from its folder; errors name what is missing."""
import dataclasses
import os
import types

import numpy as np
import pytest

from config.config import Config
from config.loading import config_from_dict
from src.checkpoints.find import find_checkpoint, find_model
from src.common.errors import MassError, UsageError
from src.inference.evaluation.metrics.rouge import Rouge
from src.inference.evaluation.options import EvaluationOptions
from src.inference.model import load_model
from src.inference.options import GenerationOptions
from src.inference.raw_text import TextInput, pairs_of_text, read_text
from src.inference.text_flags import find_text
from src.text.spelling import SPELLING_HELP
from src.text.text_processing import TextProcessing
from src.utils.dictionary import Dictionary
from src.utils.load_weights import read_metadata, save_weights
from tests.helpers.tiny_model import make_model_folder

VOCABULARY = Dictionary.from_counts({word: 1 for word in "abcd"})
SMALL = {"vocab_size": 9, "seq_length": 5, "beam_width": 2}


def metadata(**config):
    described = {"file": "words.bin", "size": len(VOCABULARY), "fingerprint": VOCABULARY.fingerprint}
    return {"step": 3, "vocabulary": described, "config": dataclasses.asdict(config_from_dict(config))}


@pytest.fixture
def folder(tmp_path):
    """A folder of checkpoints whose weights are not used."""
    VOCABULARY.persistence(str(tmp_path / "words.bin"))
    for name in ("best", "latest", "ckpt-3"):
        save_weights(str(tmp_path / f"{name}.safetensors"), {"a": np.zeros(1)}, metadata(model_config=SMALL))
    return tmp_path


def test_a_folder_is_enough(folder):
    files = find_model(checkpoint=str(folder), overrides=["model_config.beam_width=4"])
    assert files.checkpoint == str(folder / "best.safetensors") and files.step == 3
    assert files.vocabulary.tokens == VOCABULARY.tokens and files.vocabulary_path == str(folder / "words.bin")
    assert (files.config.model_config.seq_length, files.config.model_config.beam_width) == (5, 4)
    os.remove(files.checkpoint)
    assert find_model(checkpoint=str(folder)).checkpoint == str(folder / "latest.safetensors")
    chosen = str(folder / "ckpt-3.safetensors")
    assert find_model(checkpoint=chosen).checkpoint == chosen


def test_flags_come_before_what_stands_in_the_folder(folder, tmp_path):
    config = config_from_dict({"model_config": {**SMALL, "vocab_size": 0, "seq_length": 7},
                               "checkpoint_options": {"existed_ckpt": str(folder)}})
    other = str(tmp_path / "other.bin")
    VOCABULARY.merge_dict(Dictionary.from_counts({"e": 1})).persistence(other)
    files = find_model(config, vocabulary=other)
    assert files.config.model_config.seq_length == 7 and files.config.model_config.vocab_size == 10
    with pytest.raises(UsageError, match="vocab_size is 9.*10 tokens"):
        find_model(checkpoint=str(folder), vocabulary=other)


def test_nothing_named():
    with pytest.raises(UsageError, match="--ckpt.*--config"):
        find_model()
    with pytest.raises(UsageError, match="existed_ckpt is empty"):
        find_model(Config())


def test_a_folder_without_checkpoints(folder, tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(MassError, match="holds no weights at all"):
        find_checkpoint(str(tmp_path / "none"))
    for name in ("best", "latest"):
        os.remove(folder / f"{name}.safetensors")
    (folder / "ckpt-3.state.safetensors").write_bytes(b"")
    with pytest.raises(MassError, match=r"name one of its files: ckpt-3.safetensors$"):
        find_checkpoint(str(folder))
    with pytest.raises(MassError, match="nowhere.*does not exist"):
        find_checkpoint(str(tmp_path / "nowhere"))


def test_a_checkpoint_without_vocabulary(folder):
    os.remove(folder / "words.bin")
    with pytest.raises(MassError, match="words.bin' of checkpoint .* is missing.*--vocab"):
        find_model(checkpoint=str(folder))
    path = str(folder / "bare.safetensors")
    save_weights(path, {"a": np.zeros(1)}, {"config": metadata()["config"]})
    with pytest.raises(UsageError, match="which vocabulary.*--vocab"):
        find_model(checkpoint=path)
    save_weights(path, {"a": np.zeros(1)}, {})
    with pytest.raises(UsageError, match="which configuration.*--config"):
        find_model(checkpoint=path)


def test_a_configuration_of_another_version(folder):
    path = str(folder / "future.safetensors")
    save_weights(path, {"a": np.zeros(1)}, {**metadata(), "config": {"model_config": {"rotary": True}}})
    with pytest.raises(UsageError, match="future.safetensors.*unknown key model_config.rotary"):
        find_model(checkpoint=path)


def test_a_beam_wider_than_the_vocabulary(folder):
    with pytest.raises(UsageError, match="beam_width is 50.*vocabulary"):
        find_model(checkpoint=str(folder), overrides=["model_config.beam_width=50"])


@pytest.mark.parametrize("ending", ["safetensors", "npz"])
def test_metadata_alone(tmp_path, ending):
    path = str(tmp_path / f"weights.{ending}")
    save_weights(path, {"a": np.zeros(3)}, {"step": 4})
    assert read_metadata(path) == {"step": 4}
    with open(path, "wb") as stream:
        stream.write(b"not weights")
    with pytest.raises(MassError, match="damaged"):
        read_metadata(path)


def test_how_text_is_processed_must_be_known(folder):
    files = find_model(checkpoint=str(folder))
    with pytest.raises(UsageError, match="--tokenizer.*--codes"):
        find_text(files, {})
    assert find_text(files, {"tokenizer": "none"}) == TextProcessing("none")
    TextProcessing("nltk", lower_case=True).save(str(folder))
    assert find_text(files, {}) == TextProcessing("nltk", lower_case=True)
    assert find_text(files, {"lower_case": False}) == TextProcessing("nltk")
    with pytest.raises(MassError, match="BPE codes.*nowhere"):
        find_text(files, {"codes": "nowhere"})


def test_long_sentences_are_truncated_and_counted_or_refused(folder, capsys):
    files, text = find_model(checkpoint=str(folder)), TextProcessing("none")
    lines = ["a b", "a b c d", "a b c d a", "d d d d d d d"]
    reader = TextInput(files, text)
    encoded = reader.read(lines, "some.txt", first_line=11)
    assert encoded.ids.lengths.tolist() == [3, 5, 5, 5] and encoded.ids[3][-1] == VOCABULARY.eos_index
    reader.warn()
    warned = capsys.readouterr().err
    assert "2 of 4 lines" in warned and "some.txt, line 13" in warned and "seq_length" in warned
    reader.warn()
    assert not capsys.readouterr().err
    with pytest.raises(MassError, match="some.txt, line 13: 6 tokens.*at most 5"):
        TextInput(files, text, strict=True).read(lines, "some.txt", first_line=11)
    assert reader.fits("a b c d") and not reader.fits("a b c d a")


def test_texts_that_cannot_be_read(folder, tmp_path, capsys):
    path = tmp_path / "text.txt"
    path.write_bytes(b"")
    with pytest.raises(MassError, match="text.txt' is empty"):
        read_text(str(path), "strict")
    path.write_bytes(b"fine\ncaf\xe9\n")
    with pytest.raises(MassError, match="text.txt, line 2: not UTF-8"):
        read_text(str(path), "strict")
    assert read_text(str(path), "replace") == ["fine", "caf\ufffd"]
    assert "in 1 line of" in capsys.readouterr().err
    (tmp_path / "three.txt").write_text("a\nb\nc\n")
    with pytest.raises(MassError, match="2 lines and .* 3"):
        pairs_of_text(find_model(checkpoint=str(folder)), TextProcessing("none"), str(path),
                      str(tmp_path / "three.txt"), False, "replace")


def test_outputs_that_exist_are_not_replaced_unasked(tmp_path):
    path = str(tmp_path / "predictions.jsonl")
    EvaluationOptions(path, Rouge()).check()
    for name in ("predictions.jsonl", "predictions.txt", "page.html"):
        (tmp_path / name).write_text("mine")
    for options in (EvaluationOptions(path, Rouge()), EvaluationOptions(str(tmp_path / "o.jsonl"), Rouge(),
                                                                        report=str(tmp_path / "page.html"))):
        with pytest.raises(UsageError, match="exists: give --overwrite"):
            options.check()
    EvaluationOptions(path, Rouge(), report=str(tmp_path / "page.html"), overwrite=True).check()
    with pytest.raises(UsageError, match="must end in .html or .md"):
        EvaluationOptions(path, Rouge(), report="page.pdf", overwrite=True).check()
    text = str(tmp_path / "predictions.txt")
    with pytest.raises(UsageError, match="exists: give --overwrite"):
        GenerationOptions("in.txt", text).check()
    GenerationOptions("in.txt", text, overwrite=True).check()


def test_training_says_how_its_text_was_made(tmp_path):
    """As the configuration says, or else as described beside the weights that the run starts from."""
    from src.training.data import find_run_text_processing

    (tmp_path / "codes").write_text("#version: 0.2\na t\n")
    vocabulary = Dictionary.from_counts({"c@@": 1, "at": 1})
    vocabulary.persistence(str(tmp_path / "words.bin"))
    records = types.SimpleNamespace(load_vocabulary=lambda: vocabulary)

    def said(existed="", **data):
        return find_run_text_processing(config_from_dict({"dataset_config": data}), records, existed)

    codes = str(tmp_path / "codes")
    assert said() is None
    assert said(tokenizer="nltk", lower_case=True, bpe_codes=codes) == TextProcessing("nltk", codes, lower_case=True)
    with pytest.raises(UsageError, match="set dataset_config.bpe_codes"):
        said(tokenizer="nltk")
    with pytest.raises(MassError, match="BPE codes.*does not exist"):
        said(tokenizer="nltk", bpe_codes="nowhere")
    with pytest.raises(UsageError, match="dataset_config.tokenizer is empty"):
        said(bpe_codes=codes)
    for name in SPELLING_HELP:  # each is a key of the configuration
        assert said(tokenizer="nltk", bpe_codes=codes, **{name: True}) == TextProcessing("nltk", codes, **{name: True})
        with pytest.raises(UsageError, match=f"dataset_config.tokenizer is empty.*{name}"):
            said(**{name: True})
    (tmp_path / "earlier").mkdir()
    path = str(tmp_path / "earlier" / "best.safetensors")
    save_weights(path, {"a": np.zeros(1)}, {})
    assert said(existed=path) is None
    TextProcessing("jieba").save(str(tmp_path / "earlier"))
    assert said(existed=path) == TextProcessing("jieba")
    assert said(existed=path, tokenizer="none", bpe_codes=codes).tokenizer == "none"


def test_a_model_that_was_trained_with_flash_attention_runs_on_the_cpu(tmp_path):
    make_model_folder(tmp_path)
    files = find_model(checkpoint=str(tmp_path), overrides=["training_config.flash_attention=true"])
    assert "float32" in load_model(files).computation
