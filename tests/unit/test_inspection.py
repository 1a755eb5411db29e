"""--inspect shows what the language model makes of the records; describe_batch shows all arrays of a batch."""
import itertools
import re

import numpy as np
import pytest

from src.common.ragged import RaggedArray
from src.dataset.batching.batch import Batch, Shape
from src.dataset.batching.collate import pair_collate
from src.dataset.bi_data_loader import BiLingualDataLoader
from src.dataset.inspection import describe_batch, inspect_records
from src.dataset.mono_data_loader import MonoLingualDataLoader
from src.language_model import MassLanguageModel, NoiseChannelLanguageModel
from src.utils.dictionary import Dictionary
from tests.helpers.records import write_records

VOCABULARY = Dictionary.from_counts({"the": 9, "ca@@": 8, "t": 7, "sat": 6, "\u732b": 5})
LINE = "the ca@@ t sat \u732b the ca@@ t"


@pytest.fixture
def sentences(tmp_path):
    (tmp_path / "x.txt").write_text(f"{LINE}\nthe\n" + "sat the " * 30 + "\n", encoding="utf-8")
    path = str(tmp_path / "x.tfrecord")
    write_records(path, MonoLingualDataLoader(str(tmp_path / "x.txt"), VOCABULARY), "pretrain", {"fragment_ratio": 0.5})
    return path


def row(text, name):
    """Return the cells of a row of the table, all its parts together."""
    return " ".join(re.findall(rf"^  {name}  +(.*)$", text, re.MULTILINE)).split()


class TestSentences:
    def test_text_and_tokens(self, sentences):
        header, first, second, third = inspect_records(sentences, 9, np.random.default_rng(1))
        assert "3 sentences (pretrain), fragment_ratio 0.5, vocabulary of 10 tokens" in header
        assert "text           the cat sat \u732b the cat\n" in first
        assert row(first, "tokens") == [*LINE.split(), "</s>"]
        assert row(second, "position") == ["0", "1"]
        assert row(third, "tokens") == [*("sat the " * 30).split(), "</s>"]
        assert max(map(len, third.splitlines()[3:])) <= 118

    def test_a_mask_as_the_language_model_draws_it(self, sentences):
        *_, shown = inspect_records(sentences, 1, np.random.default_rng(5))
        ids = VOCABULARY.encode(LINE.split())
        source, inputs, _, labels = MassLanguageModel(len(VOCABULARY), 0.5)(
            ids[None], np.array([len(ids)]), np.random.default_rng(5))
        for name, expected in (("encoder input", source), ("decoder input", inputs), ("predicted", labels)):
            assert row(shown, name) == [VOCABULARY[index] for index in expected[0] if index]

    def test_a_predicted_token_is_shown_below_its_token(self, sentences):
        *_, shown = inspect_records(sentences, 1, np.random.default_rng(2))
        lines = {line[2:15].strip(): line for line in shown.splitlines()}
        wide = str.maketrans({"\u732b": "\u732b "})  # takes two columns of a terminal
        tokens, predicted = (lines[name].translate(wide) for name in ("tokens", "predicted"))
        for match in re.finditer(r"\S+", predicted[17:]):
            place = slice(17 + match.start(), 17 + match.end())
            assert tokens[place] == predicted[place]

    def test_each_call_draws_another_mask(self, sentences):
        generator = np.random.default_rng(3)
        shown = {tuple(row(list(inspect_records(sentences, 1, generator))[1], "predicted")) for _ in range(20)}
        assert len(shown) > 3

    def test_count(self, sentences):
        assert len(list(inspect_records(sentences, 2, np.random.default_rng(3)))) == 3


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_pairs(tmp_path, noise):
    (tmp_path / "s.txt").write_text("the ca@@ t\n")
    (tmp_path / "t.txt").write_text("ca@@ t sat\n")
    path = str(tmp_path / "x.tfrecord")
    loader = BiLingualDataLoader(str(tmp_path / "s.txt"), str(tmp_path / "t.txt"), VOCABULARY)
    write_records(path, loader, "train", {"noise_prob": noise})
    header, shown = inspect_records(path, 5, np.random.default_rng(3))
    assert f"1 pairs (train), noise_prob {noise}" in header
    assert row(shown, "source") == ["the", "cat"] and row(shown, "target") == ["cat", "sat"]
    assert row(shown, "encoder input") == [*(["<mask>"] * 3 if noise else ["the", "ca@@", "t"]), "</s>"]
    assert row(shown, "decoder input") == ["<s>", "ca@@", "t", "sat"]
    assert row(shown, "predicted") == ["ca@@", "t", "sat", "</s>"]


def test_a_batch_is_shown_as_the_network_receives_it():
    source, target = (RaggedArray.from_sequences(side) for side in ([[5, 6, 2], [6, 2]], [[6, 2], [5, 5, 2]]))
    collate = pair_collate(source, target, NoiseChannelLanguageModel(0.0), attend_to_masks=False)
    batch = collate(np.array([[0, 1], [1, -1]]), Shape(2, 6, 5), np.random.default_rng(0))
    heading, *lines = describe_batch(batch, VOCABULARY, 2)
    assert heading == "a batch of 2 rows x (6 source + 5 target) positions, 15 tokens"
    starts = [lines.index("\nrow 0: 2 examples"), lines.index("\nrow 1: 1 example"), len(lines)]
    for row, (start, end) in enumerate(itertools.pairwise(starts)):
        shown = {line.split()[0]: list(map(int, line.split()[1:])) for line in lines[start:end] if "_" in line or
                 line.startswith("  labels")}
        assert shown.keys() == set(Batch._fields)
        for name, array in batch._asdict().items():
            assert shown[name] + [0] * (array.shape[1] - len(shown[name])) == array[row].tolist(), name
        (tokens,) = (line.split()[2:] for line in lines[start:end] if line.startswith("  encoder input"))
        assert tokens == [VOCABULARY[index] for index in shown["source_ids"]]
    assert "  and 1 position of padding" in lines and "  and 4 positions of padding" in lines
