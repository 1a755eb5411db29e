"""The loaders of sentences and of pairs: ids, what is dropped and why, what is kept nevertheless."""
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.dataset.bi_data_loader import BiLingualDataLoader
from src.dataset.example_loader import split_tokens
from src.dataset.mono_data_loader import MonoLingualDataLoader
from src.utils.dictionary import Dictionary
from src.utils.errors import MassError, UsageError

VOCABULARY = Dictionary.from_counts({"a": 5, "b@@": 4, "c": 3})  # ids 5, 6, 7
DIRT = st.text(st.sampled_from("a\u2028\x0b\x0c\x85\x1c\t \u00a0\r"), max_size=6)


def file_with(path, text):
    path.write_bytes(text.encode("utf-8"))
    return str(path)


def listed(loader):
    return [{column: ids.tolist() for column, ids in example.items()} for example in loader]


class TestMonoLingualDataLoader:
    def load(self, tmp_path, text, max_len=64):
        return MonoLingualDataLoader(file_with(tmp_path / "x.txt", text), VOCABULARY, max_len)

    def test_ids_end_with_eos(self, tmp_path):
        loader = self.load(tmp_path, "a b@@ c\nc d\n")
        assert listed(loader) == [{"tokens": [5, 6, 7, 2]}, {"tokens": [7, 3, 2]}]
        assert all(example["tokens"].dtype == np.int32 for example in loader)

    def test_what_is_dropped(self, tmp_path):
        loader = self.load(tmp_path, "a\n\na a a\n \t \na a\n", max_len=3)
        assert listed(loader) == [{"tokens": [5, 2]}, {"tokens": [5, 5, 2]}]
        assert loader.lines_read == 5 and loader.dropped == {"empty": 2, "too long": 1}

    def test_counts_start_anew(self, tmp_path):
        loader = self.load(tmp_path, "a\n\n")
        assert listed(loader) == listed(loader)
        assert loader.lines_read == 2 and loader.dropped == {"empty": 1}

    def test_several_files(self, tmp_path):
        paths = [file_with(tmp_path / "1.txt", "a"), file_with(tmp_path / "2.txt", "c\n\n")]
        loader = MonoLingualDataLoader(paths, VOCABULARY)
        assert listed(loader) == [{"tokens": [5, 2]}, {"tokens": [7, 2]}]
        assert loader.lines_read == 3

    def test_text_cannot_forge_symbols(self, tmp_path):
        (example,) = listed(self.load(tmp_path, "<s> a </s> <mask> <pad> UNK"))
        assert example["tokens"] == [3, 5, 3, 3, 3, 3, 2]

    def test_byte_order_mark_and_windows_line_ends(self, tmp_path):
        assert listed(self.load(tmp_path, "\ufeffa c\r\nc\r\n")) == [{"tokens": [5, 7, 2]}, {"tokens": [7, 2]}]

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(lines=st.lists(DIRT))
    def test_only_newlines_end_lines(self, tmp_path, lines):
        loader = self.load(tmp_path, "".join(line + "\n" for line in lines))
        kept = listed(loader)
        assert loader.lines_read == len(lines)
        assert len(kept) + loader.dropped["empty"] == len(lines)

    def test_line_of_a_megabyte(self, tmp_path):
        loader = self.load(tmp_path, "a " * 500_000 + "\nc")
        assert listed(loader) == [{"tokens": [7, 2]}] and loader.dropped == {"too long": 1}

    def test_not_utf8(self, tmp_path):
        (tmp_path / "x.txt").write_bytes(b"a\nb \xe9\n")
        with pytest.raises(MassError, match="x.txt, line 2: not UTF-8"):
            listed(MonoLingualDataLoader(str(tmp_path / "x.txt"), VOCABULARY))

    @pytest.mark.parametrize("max_len", [1, 0, -5])
    def test_impossible_max_len(self, max_len):
        with pytest.raises(UsageError, match=f"--max_len {max_len}"):
            MonoLingualDataLoader("x.txt", VOCABULARY, max_len)


class TestBiLingualDataLoader:
    def load(self, tmp_path, source, target, **options):
        paths = file_with(tmp_path / "x.src", source), file_with(tmp_path / "x.tgt", target)
        return BiLingualDataLoader(*paths, VOCABULARY, **options)

    def test_pairs(self, tmp_path):
        loader = self.load(tmp_path, "a\nc\n", "c a\na")
        assert listed(loader) == [{"source": [5, 2], "target": [7, 5, 2]}, {"source": [7, 2], "target": [5, 2]}]
        assert loader.total_lines == loader.lines_read == 2

    def test_a_training_set_drops_by_reason(self, tmp_path):
        loader = self.load(tmp_path, "a\n\na\na a a\na\n\nc", "c\na\n\na\na a a\n\nc", max_len=3)
        assert listed(loader) == [{"source": [5, 2], "target": [7, 2]}, {"source": [7, 2], "target": [7, 2]}]
        assert loader.lines_read == 7 and not loader.flawed
        assert loader.dropped == {"empty source": 2, "empty target": 1, "source too long": 1, "target too long": 1}

    def test_an_evaluation_set_keeps_every_pair(self, tmp_path):
        loader = self.load(tmp_path, "a\n\na\na c a c\n", "c\na\n\na a a c\n", max_len=3, keep_all=True)
        assert listed(loader) == [
            {"source": [5, 2], "target": [7, 2]},
            {"source": [2], "target": [5, 2]},
            {"source": [5, 2], "target": [2]},
            {"source": [5, 7, 2], "target": [5, 5, 2]},
        ]
        assert loader.lines_read == 4 and not loader.dropped
        assert loader.flawed == {"empty source": 1, "empty target": 1, "source truncated": 1, "target truncated": 1}

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(pairs=st.lists(st.tuples(DIRT, DIRT)), last_newline=st.booleans())
    def test_dirt_does_not_shift_the_pairing(self, tmp_path, pairs, last_newline):
        paths = []
        for side in (0, 1):
            text = "\n".join(f"{number} {pair[side]}" for number, pair in enumerate(pairs))
            paths.append(file_with(tmp_path / f"{side}.txt", text + "\n" * (last_newline and bool(pairs))))
        vocabulary = Dictionary((str(number), 1) for number in range(len(pairs)))
        loader = BiLingualDataLoader(*paths, vocabulary, keep_all=True)
        first_symbols = [(example["source"][0], example["target"][0]) for example in loader]
        assert first_symbols == [(5 + number, 5 + number) for number in range(len(pairs))]

    def test_different_numbers_of_lines(self, tmp_path):
        with pytest.raises(MassError, match="x.src' has 3 lines and target '.*x.tgt' has 2"):
            self.load(tmp_path, "a\na\n\n", "c\nc\n")

    def test_missing_file(self, tmp_path):
        with pytest.raises(MassError, match="none.txt' does not exist"):
            BiLingualDataLoader(file_with(tmp_path / "a.txt", "a"), str(tmp_path / "none.txt"), VOCABULARY)

    def test_a_file_with_itself(self, tmp_path):
        path = file_with(tmp_path / "a.txt", "a")
        with pytest.raises(UsageError, match="same file"):
            BiLingualDataLoader(path, path, VOCABULARY)


def test_only_spaces_separate_tokens():
    assert split_tokens(" a  b\u00a0c\u2028d \t ") == ["a", "b\u00a0c\u2028d"]
