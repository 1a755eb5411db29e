"""The vocabulary: order, look-up, shrinking, files, and invalid files."""
import filecmp
import gzip
import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.common.errors import MassError
from src.utils import Dictionary
from src.utils.dictionary import SPECIAL_TOKENS, UNKNOWN_SPELLINGS

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=6)
COUNTS = st.dictionaries(WORDS, st.integers(1, 500), max_size=60)


@pytest.fixture
def vocabulary() -> Dictionary:
    return Dictionary.from_counts({"the": 900, "hello": 200, "world": 199, "Paris": 7, "a": 900, "<unk>": 50, "UNK": 3})


def test_ids_follow_descending_frequency_then_spelling(vocabulary):
    assert vocabulary.tokens == [*SPECIAL_TOKENS, "a", "the", "hello", "world", "Paris"]
    assert vocabulary.frequencies == [0] * 5 + [900, 900, 200, 199, 7]
    assert [vocabulary[i] for i in [1, 2, 3, 4, 5]] == ["<s>", "</s>", "<unk>", "<mask>", "a"]
    assert [
        vocabulary.pad_index, vocabulary.bos_index, vocabulary.eos_index, vocabulary.unk_index, vocabulary.mask_index
    ] == [0, 1, 2, 3, 4]


def test_an_empty_dictionary_holds_the_special_tokens():
    assert tuple(Dictionary().tokens) == SPECIAL_TOKENS


def test_index_is_a_mapping_and_a_function(vocabulary):
    assert vocabulary.index["hello"] == vocabulary.index("hello") == 7
    assert [vocabulary[vocabulary.index[t]] for t in vocabulary.tokens] == vocabulary.tokens


@pytest.mark.parametrize(
    "token, found",
    [
        ("Hello", "hello"),  # frequency 200 is enough for the lower-case form
        ("World", "<unk>"),  # 199 is not
        ("paris", "<unk>"),  # never the other way round
        ("missing", "<unk>"),
        ("<PAD>", "<unk>"),
        ("</s>", "</s>"),
        *[(spelling, "<unk>") for spelling in UNKNOWN_SPELLINGS],
    ],
)
def test_look_up_of_tokens_that_are_not_in_the_vocabulary(vocabulary, token, found):
    assert vocabulary[vocabulary.index[token]] == found


def test_membership_is_exact(vocabulary):
    assert "hello" in vocabulary and "<mask>" in vocabulary
    assert "Hello" not in vocabulary and "UNK" not in vocabulary


def test_text_cannot_contain_special_tokens(vocabulary):
    ids = vocabulary.encode(["a", "</s>", "<mask>", "<pad>", "<s>", "UNK", "Hello"])
    assert ids.dtype == np.int32
    assert ids.tolist() == [5, 3, 3, 3, 3, 3, 7, 2]
    assert vocabulary.encode([], append_eos=False).tolist() == []


def test_decode_stops_at_the_end_and_drops_padding(vocabulary):
    assert vocabulary.decode(np.array([1, 5, 0, 3, 4, 2, 6, 2])) == ["a", "<unk>", "<mask>"]


@given(COUNTS, st.integers(0, 500))
def test_shrink_pads_the_size_to_a_multiple_of_16(counts, threshold):
    vocabulary = Dictionary.from_counts(counts)
    small = vocabulary.shrink(threshold)
    frequent = sum(frequency > threshold for frequency in vocabulary.frequencies[5:])
    assert small.tokens == vocabulary.tokens[: len(small)]  # the most frequent ones, in order
    assert len(small) >= 5 + frequent
    assert len(small) - (5 + frequent) < 16
    assert len(small) % 16 == 0 or len(small) == len(vocabulary)


def test_shrink_threshold_defaults_to_50_and_is_inclusive():
    vocabulary = Dictionary.from_counts({f"w{i}": 51 for i in range(11)} | {f"x{i}": 50 for i in range(20)})
    assert len(vocabulary.shrink()) == 16
    assert len(vocabulary.shrink(49)) == 36  # no token is below the threshold, so none can be kept to pad the size


@given(COUNTS, COUNTS)
def test_merging_adds_frequencies(first, second):
    merged = Dictionary.from_counts(first).merge_dict(Dictionary.from_counts(second))
    words = set(first) | set(second)
    expected = Dictionary.from_counts({word: first.get(word, 0) + second.get(word, 0) for word in words})
    assert (merged.tokens, merged.frequencies) == (expected.tokens, expected.frequencies)


def test_persisted_and_exported_dictionaries_are_loaded_unchanged(vocabulary, tmp_path):
    path, again, text = (str(tmp_path / name) for name in ("v.dict.bin", "again.dict.bin", "v.dict"))
    vocabulary.persistence(path)
    vocabulary.persistence(again)
    vocabulary.export(text)
    for loaded in (Dictionary.load_from_persisted_dict(path), Dictionary.load_from_text(text)):
        assert loaded.tokens == vocabulary.tokens
        assert loaded.frequencies == vocabulary.frequencies
        assert loaded.fingerprint == vocabulary.fingerprint
    assert filecmp.cmp(path, again, shallow=False)


def test_what_is_exported_can_be_read_whatever_its_frequencies(tmp_path):
    """Vocabularies of other programs have words of frequency 0; white space is never a word of a text."""
    path = str(tmp_path / "v.dict")
    Dictionary([("a", 7), ("filler", 0), ("\u00a0", 3)]).export(path)
    loaded = Dictionary.load_from_text(path)
    assert (loaded.tokens[5:], loaded.frequencies[5:]) == (["a", "filler"], [7, 0])


def test_load_from_text_adds_frequencies_over_files(tmp_path):
    (tmp_path / "a.dict").write_text("the 3\nnew\u00a0york 2\n")
    (tmp_path / "b.dict").write_bytes(b"\xef\xbb\xbfthe 4\r\n<unk> 9\r\n")
    loaded = Dictionary.load_from_text([str(tmp_path / "a.dict"), str(tmp_path / "b.dict")])
    assert dict(zip(loaded.tokens[5:], loaded.frequencies[5:], strict=True)) == {"the": 7, "new\u00a0york": 2}


@pytest.mark.parametrize("line", ["word", "word ", " 3", "", "word x", "word -1", "word 1.5", "w ٣", "w 1_0",
                                  pytest.param("w " + "9" * 19, id="19"), pytest.param("w " + "9" * 5000, id="5000")])
def test_an_invalid_line_is_named_in_the_error(tmp_path, line):
    path = tmp_path / "bad.dict"
    path.write_text(f"fine 1\n{line}\nfine 2\n", encoding="utf-8")
    with pytest.raises(MassError, match=r"bad\.dict, line 2"):
        Dictionary.load_from_text(str(path))


class Evil:
    """Unpickling this calls a function that ends the test run."""

    def __reduce__(self):
        return pytest.exit, ("a pickle was loaded",)


@pytest.mark.parametrize("protocol", [1, 2, 4])
def test_a_pickle_is_rejected_and_never_loaded(tmp_path, protocol):
    path = tmp_path / "old.bin"
    old = [Evil()] if protocol > 1 else Dictionary()  # the earlier implementation used protocol 1
    path.write_bytes(pickle.dumps(old, protocol=protocol))
    with pytest.raises(MassError, match="pickle.*run any code.*--vocab_path"):
        Dictionary.load_from_persisted_dict(str(path))


def persisted(**changes) -> bytes:
    content = {"format": "mass-dictionary", "version": 1}
    content |= {"symbols": [*SPECIAL_TOKENS, "a"], "frequencies": [0] * 5 + [1]}
    return gzip.compress(json.dumps(content | changes).encode(), mtime=0)  # the same in all workers of pytest-xdist


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"", "not a vocabulary"),
        (b"hello world 3\n", "not a vocabulary"),
        (persisted()[:-12], "not a vocabulary"),
        (gzip.compress(b"not json", mtime=0), "not a vocabulary"),
        (gzip.compress(b"[1, 2]", mtime=0), "format"),
        (persisted(format="other"), "format"),
        (persisted(version=2), "version is 2"),
        (persisted(symbols="abc"), "list of strings"),
        (persisted(frequencies=[0] * 5 + [-1]), "whole numbers"),
        (persisted(frequencies=[0] * 5), "6 tokens and 5 frequencies"),
        (persisted(symbols=["a", *SPECIAL_TOKENS]), "first tokens"),
        (persisted(symbols=[*SPECIAL_TOKENS, "<s>"]), "twice: '<s>'"),
        (persisted(symbols=[*SPECIAL_TOKENS, "two words"]), "token 5 is 'two words'; tokens must not be empty or"),
        (persisted(symbols=[*SPECIAL_TOKENS, ""]), "token 5 is ''; tokens must not be empty or contain"),
    ],
)
def test_a_file_that_is_not_a_vocabulary_is_rejected(tmp_path, data, reason):
    path = tmp_path / "v.bin"
    path.write_bytes(data)
    with pytest.raises(MassError, match=reason) as caught:
        Dictionary.load_from_persisted_dict(str(path))
    assert str(path) in str(caught.value)


def test_the_fingerprint_depends_on_tokens_and_their_order_only():
    first, more, swapped = (Dictionary.from_counts(c) for c in ({"a": 2, "b": 1}, {"a": 9, "b": 8}, {"a": 1, "b": 2}))
    assert first.fingerprint == more.fingerprint != swapped.fingerprint
    assert len(first.fingerprint) == 64


def test_a_difference_is_described():
    first, second = Dictionary.from_counts({"a": 2, "b": 1}), Dictionary.from_counts({"a": 2, "c": 1, "d": 1})
    assert first.describe_difference(second) == "7 and 8 tokens; the first difference is id 6: 'b' and 'c'"
    assert "starts with the smaller one" in first.describe_difference(Dictionary.from_counts({"a": 1}))
