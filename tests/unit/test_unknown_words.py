"""A word with an unknown subword is one unknown word: in text made of records, in predictions, and in scores."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.common.text_files import DecodedText
from src.dataset.bi_data_loader import BiLingualDataLoader
from src.dataset.records.record_set import load_records
from src.dataset.records.writer import DataSetPlan, write_data_sets
from src.dataset.token_ids import TokenIds
from src.inference.examples import examples_of_records
from src.utils.byte_pair_encoding import join_subwords
from src.utils.dictionary import Dictionary
from src.utils.ppl_score import count_words_and_eos
from src.utils.rouge_score import rouge_scores

VOCABULARY = Dictionary.from_counts({"a": 9, "b@@": 9, "c": 9, "out@@": 9, "ines": 9})
WORDS = [["a"], ["b@@", "c"], ["b@@", "b@@", "a"], ["x"], ["x@@", "c"], ["b@@", "x"], ["x@@", "y@@", "z"],
         ["x@@", "out@@", "ines"], ["b@@", "x@@", "c"]]
LINES = st.lists(st.lists(st.sampled_from(WORDS), max_size=6), min_size=1, max_size=5)


@pytest.mark.parametrize(("tokens", "text"), [
    ("cor@@ <unk> a", "<unk> a"), ("<unk>@@ out@@ ines a", "<unk> a"), ("a <unk>", "a <unk>"), ("<unk>@@", "<unk>"),
    ("a@@ <unk>@@ c\n<unk> d@@ e", "<unk>\n<unk> de"), ("x<unk>y z@@ z", "x<unk>y zz"), ("<unk> <unk>", "<unk> <unk>")])
def test_subwords_of_an_unknown_word_are_joined(tokens, text):
    assert join_subwords(tokens) == text
    if "\n" not in tokens:
        assert join_subwords(tokens.split(" ")) == text


@given(LINES)
def test_the_text_of_ids_has_the_words_of_the_text(lines):
    text = DecodedText("".join(" ".join(sum(line, [])) + "\n" for line in lines), 0)
    token_ids = TokenIds(VOCABULARY)
    ids = token_ids.encode(text)
    continued = set(token_ids.continued_unknown(text, ids))
    for number, line in enumerate(lines):
        positions = {position for example, position in continued if example == number}
        words = [word if all(token in VOCABULARY for token in word) else ["<unk>"] for word in line]
        expected = " ".join(join_subwords(word) for word in words)
        assert join_subwords(VOCABULARY.decode(ids[number], positions)) == expected


@pytest.mark.parametrize(("ending", "shards"), [("tfrecord", 1), ("tfrecord", 2), ("mindrecord", 1)])
def test_records_that_are_scored_know_their_words(tmp_path, ending, shards):
    lines = ["x@@ out@@ ines a", "a", "b@@ x a", "a x@@ c", "a a a x@@ c"]
    for number in range(2):  # two data sets that are read as one
        files = [tmp_path / f"{side}{number}.txt" for side in ("source", "target")]
        for file in files:
            file.write_text("\n".join(lines[number:]) + "\n")
        loader = BiLingualDataLoader(*map(str, files), VOCABULARY, max_len=4 + number, keep_all=True)
        plan = DataSetPlan(str(tmp_path / f"set{number}.{ending}"), loader, "test", {"noise_prob": 0.0}, shards)
        list(write_data_sets([plan]))
    records = load_records(str(tmp_path / f"*.{ending}"))
    examples = examples_of_records(records, VOCABULARY)
    words = [examples.text_of_example(index)["target"] for index in range(len(examples))]
    assert words == ["<unk>", "a", "<unk> a", "a <unk>", "a a a", "a", "<unk> a", "a <unk>", "a a a <unk>"]
    assert [examples.scored_target(index) for index in range(len(examples))] == words
    chosen = records.info.of_examples([8, 0, 3])
    assert chosen.kept == 3 and chosen.continued_positions("target") == {0: {3}, 1: {0}, 2: {1}}
    whole = [join_subwords(line) for line in lines[1:]]
    assert [count_words_and_eos(text) for text in words[5:]] == list(map(count_words_and_eos, whole))


def test_the_end_of_an_unknown_word_matches_nothing():
    reference = join_subwords(VOCABULARY.decode(VOCABULARY.encode(["x@@", "ines"]), {0}))
    assert rouge_scores(["ines"], [reference.replace("<unk>", "<<unk>>")])["rouge-1"] == 0
