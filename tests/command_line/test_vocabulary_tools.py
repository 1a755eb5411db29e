"""vocabulary.py as a user runs it."""
import os
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.utils import dictionary
from src.utils.dictionary import SPECIAL_TOKENS, Dictionary
from src.utils.vocabulary_tools import describe_change
from tests.helpers.scripts import output_of, run_script

COUNTS = st.dictionaries(st.text("abcdef", min_size=1), st.integers(1, 500), max_size=40)


def load(folder, name) -> Dictionary:
    return Dictionary.load_from_persisted_dict(str(folder / name))


@pytest.fixture
def place(tmp_path):
    """Word frequencies in a folder and beside it, and two vocabularies that share words."""
    (tmp_path / "counts").mkdir()
    (tmp_path / "counts" / "a.dict").write_text("the 9\ncat 2\n")
    (tmp_path / "counts" / "b.dict").write_text("the 1\ndog 60\n")
    (tmp_path / "c.dict").write_text("cat 5\n<unk> 3\n")
    for name, words in (("v.bin", 40), ("w.bin", 30)):
        Dictionary.from_counts({f"w{n:02}": 100 - n for n in range(words)}).persistence(str(tmp_path / name))
    return tmp_path


def test_build_adds_the_frequencies_of_files_and_folders(place):
    printed = output_of("vocabulary.py", "build", "counts", "c.dict", "--output", "new/built.bin", cwd=place)
    built = load(place, "new/built.bin")
    assert built.tokens[5:] == ["dog", "the", "cat"] and built.frequencies[5:] == [60, 10, 7]
    assert "8 tokens" in printed and built.fingerprint in printed


def test_build_with_a_threshold_is_build_and_shrink(place):
    run_script("vocabulary.py", "export", "v.bin", "--output", "v.dict", cwd=place)
    run_script("vocabulary.py", "build", "v.dict", "--threshold", 80, "--output", "once.bin", cwd=place)
    run_script("vocabulary.py", "shrink", "v.bin", "--threshold", 80, "--output", "twice.bin", cwd=place)
    assert load(place, "once.bin").tokens == load(place, "twice.bin").tokens
    assert len(load(place, "once.bin")) == 32  # 20 words above 80 and 5 special tokens, rounded up to 2 * 16


@given(COUNTS, st.integers(0, 500))
def test_the_share_that_a_shrunk_vocabulary_covers(counts, threshold):
    vocabulary = Dictionary.from_counts(counts)
    small = vocabulary.shrink(threshold)
    share = 100 * sum(counts[word] for word in small.tokens[5:]) / sum(counts.values()) if counts else 100
    assert f"{share:.3f}% of the {sum(counts.values()):,} tokens" in describe_change(vocabulary, small)


def test_merge_sorts_by_the_sum(place):
    (place / "x.dict").write_text("w39 1000\nnew 95\n")
    run_script("vocabulary.py", "build", "x.dict", "--output", "x.bin", cwd=place)
    run_script("vocabulary.py", "merge", "v.bin", "w.bin", "x.bin", "--output", "merged.bin", cwd=place)
    merged = load(place, "merged.bin")
    frequencies = dict(zip(merged.tokens, merged.frequencies, strict=True))
    assert merged.tokens[5] == "w39" and frequencies["w39"] == 1061
    assert frequencies["w00"] == 200 and frequencies["w35"] == 65 and frequencies["new"] == 95
    assert merged.frequencies[5:] == sorted(merged.frequencies[5:], reverse=True)


def test_export_is_read_by_build(place):
    run_script("vocabulary.py", "export", "v.bin", "--output", "v.dict", cwd=place)
    run_script("vocabulary.py", "build", "v.dict", "--output", "again.bin", cwd=place)
    assert (place / "again.bin").read_bytes() == (place / "v.bin").read_bytes()


def test_show(place):
    printed = output_of("vocabulary.py", "show", "v.bin", "--count", 2, cwd=place)
    assert "45 tokens: 5 special tokens and 40 others" in printed and load(place, "v.bin").fingerprint in printed
    assert "0 <pad>  1 <s>  2 </s>  3 <unk>  4 <mask>" in printed
    assert "w00 100  w01 99\n" in printed and "w38 62  w39 61\n" in printed and "w02" not in printed
    assert f"{sum(range(61, 101)):,} in total, descending" in printed
    Dictionary([("rare", 1), ("often", 5)]).persistence(str(place / "u.bin"))
    assert "not descending" in output_of("vocabulary.py", "show", "u.bin", "--count", 0, cwd=place)


def test_compare(place):
    assert "the same tokens" in output_of("vocabulary.py", "compare", "v.bin", "v.bin", cwd=place)
    Dictionary([(word, 1) for word in load(place, "v.bin").tokens[5:]]).persistence(str(place / "ones.bin"))
    assert "frequencies differ" in output_of("vocabulary.py", "compare", "v.bin", "ones.bin", cwd=place)
    printed = output_of("vocabulary.py", "compare", "v.bin", "w.bin", code=1, cwd=place)
    assert "the larger one starts with the smaller one" in printed and "only in the first: 10: w30  w31" in printed
    Dictionary([("w01", 1), ("w00", 1)]).persistence(str(place / "swapped.bin"))
    printed = output_of("vocabulary.py", "compare", "v.bin", "swapped.bin", code=1, cwd=place)
    assert "first difference is id 5: 'w00' and 'w01'; 2 ids have different tokens" in printed


def test_convert(place, monkeypatch):
    old_class = type("Dictionary", (), {"__module__": dictionary.__name__})
    for name, tokens in (("old.bin", [*SPECIAL_TOKENS, "b", "a"]), ("moved.bin", ["b", *SPECIAL_TOKENS[::-1], "a"])):
        old = old_class()
        old.symbols, old.count = tokens, [1, 2, 3, 4, 5, 6, 7]
        with monkeypatch.context() as patch:
            patch.setattr(dictionary, "Dictionary", old_class)
            (place / name).write_bytes(pickle.dumps(old, protocol=1))
    printed = output_of("vocabulary.py", "convert", "old.bin", "--output", "new.bin", cwd=place)
    assert "all 7 tokens have the same ids as in old.bin" in printed
    assert load(place, "new.bin").tokens == [*SPECIAL_TOKENS, "b", "a"]
    complaint = output_of("vocabulary.py", "convert", "moved.bin", "--output", "m.bin", code=1, cwd=place)
    assert "moved.bin: its ids cannot be kept: its first tokens are not <pad>" in complaint
    assert not (place / "m.bin").exists()
    printed = output_of("vocabulary.py", "convert", "moved.bin", "--renumber", "--output", "m.bin", cwd=place)
    assert "the ids are new" in printed
    converted = load(place, "m.bin")
    assert converted.tokens == [*SPECIAL_TOKENS, "b", "a"] and converted.frequencies[5:] == [1, 7]
    assert "not a pickle" in output_of("vocabulary.py", "convert", "v.bin", "--output", "m.bin", code=1, cwd=place)


def test_a_different_file_is_replaced_only_with_overwrite(place):
    before = (place / "v.bin").read_bytes()
    shrink = ("vocabulary.py", "shrink", "v.bin", "--output", "v.bin", "--threshold")
    assert "a different vocabulary" in output_of(*shrink, 80, code=1, cwd=place)
    complaint = output_of("vocabulary.py", "build", "counts", "--output", "c.dict", code=1, cwd=place)
    assert "--output 'c.dict' exists and is not a vocabulary" in complaint
    assert "exists" in output_of("vocabulary.py", "export", "w.bin", "--output", "v.bin", code=1, cwd=place)
    assert (place / "v.bin").read_bytes() == before and (place / "c.dict").read_text() == "cat 5\n<unk> 3\n"
    assert "unchanged" in output_of(*shrink, 0, cwd=place)
    run_script(*shrink, 80, "--overwrite", cwd=place)
    assert len(load(place, "v.bin")) == 32


@pytest.mark.parametrize("arguments, code, complaint", [
    (("build", "none.dict", "--output", "o"), 1, "'none.dict' does not exist"),
    (("build", "empty", "--output", "o"), 1, "folder 'empty' holds no file named *.dict"),
    (("build", "c.dict", "./c.dict", "--output", "o"), 1, "given twice"),
    (("build", "bad.dict", "--output", "o"), 1, "bad.dict, line 1"),
    (("build", "unknown.dict", "--output", "o"), 1, "no word in unknown.dict"),
    (("build", "c.dict", "--threshold", "-1", "--output", "o"), 2, "'-1' is not allowed; allowed are whole numbers"),
    (("shrink", "c.dict", "--output", "o"), 1, "c.dict: not a vocabulary"),
    (("merge", "v.bin", "--output", "o"), 2, "required"),
    (("show",), 2, "required"),
    (("unknown",), 2, "invalid choice"),
    ((), 2, "required: COMMAND"),
])
def test_invalid_input(place, arguments, code, complaint):
    (place / "empty").mkdir()
    (place / "bad.dict").write_text("no number\n")
    (place / "unknown.dict").write_text("<unk> 5\n")
    assert complaint in output_of("vocabulary.py", *arguments, code=code, cwd=place)
    assert not os.path.exists(place / "o")


def test_help_of_every_command(tmp_path):
    printed = output_of("vocabulary.py", "--help", cwd=tmp_path)
    for command in ("show", "compare", "build", "shrink", "merge", "export", "convert"):
        assert command in printed
        assert "usage: vocabulary.py " + command in output_of("vocabulary.py", command, "-h", cwd=tmp_path)
