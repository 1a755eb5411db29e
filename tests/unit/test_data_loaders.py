"""The loaders of sentences and of pairs: their ids, and which lines are dropped for which reason or kept."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.common.errors import MassError, UsageError
from src.common.text_files import DecodedText
from src.dataset.aligned_parts import aligned_parts
from src.dataset.bi_data_loader import BiLingualDataLoader
from src.dataset.example_loader import LineCounts
from src.dataset.mono_data_loader import MonoLingualDataLoader
from src.dataset.token_ids import TokenIds
from src.utils.dictionary import Dictionary

VOCABULARY = Dictionary.from_counts({"a": 5, "b@@": 4, "c": 3})  # ids 5, 6, 7
DIRT = st.text(st.sampled_from("a\u2028\x0b\x0c\x85\x1c\t \u00a0\r"), max_size=6)

RAW_DIRT = st.binary(max_size=6).map(lambda raw: raw.replace(b"\n", b"\xff"))


def file_with(path, text):
    path.write_bytes(text.encode("utf-8"))
    return str(path)


def listed(loader):
    return [{column: ids.tolist() for column, ids in example.items()} for example in loader]


def counted(loader):
    counts = LineCounts()
    for part in loader.parts():
        counts.add(loader.encode(part, TokenIds(loader.vocabulary), loader.settings).counts)
    return counts


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
        assert counted(loader) == LineCounts(5, {"empty": 2, "too long": 1}, {}, {"tokens": 0})

    def test_what_is_too_short(self, tmp_path):
        loader = MonoLingualDataLoader(file_with(tmp_path / "x.txt", "a\n\na a\na a a\n"), VOCABULARY, 4, min_len=3)
        assert listed(loader) == [{"tokens": [5, 5, 2]}, {"tokens": [5, 5, 5, 2]}]
        assert counted(loader).dropped == {"empty": 1, "too short": 1}

    def test_it_can_be_read_again(self, tmp_path):
        loader = self.load(tmp_path, "a\n\n")
        assert listed(loader) == listed(loader)

    def test_several_files(self, tmp_path):
        paths = [file_with(tmp_path / "1.txt", "a"), file_with(tmp_path / "2.txt", "c\n\n")]
        loader = MonoLingualDataLoader(paths, VOCABULARY)
        assert listed(loader) == [{"tokens": [5, 2]}, {"tokens": [7, 2]}]
        assert counted(loader).lines_read == 3

    def test_special_tokens_in_a_text_are_unknown(self, tmp_path):
        (example,) = listed(self.load(tmp_path, "<s> a </s> <mask> <pad> UNK"))
        assert example["tokens"] == [3, 5, 3, 3, 3, 3, 2]

    def test_byte_order_mark_and_windows_line_ends(self, tmp_path):
        assert listed(self.load(tmp_path, "\ufeffa c\r\nc\r\n")) == [{"tokens": [5, 7, 2]}, {"tokens": [7, 2]}]

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(lines=st.lists(DIRT))
    def test_only_newlines_end_lines(self, tmp_path, lines):
        loader = self.load(tmp_path, "".join(line + "\n" for line in lines))
        kept, counts = listed(loader), counted(loader)
        assert counts.lines_read == len(lines)
        assert len(kept) + counts.dropped["empty"] == len(lines)

    def test_line_of_a_megabyte(self, tmp_path):
        loader = self.load(tmp_path, "a " * 500_000 + "\nc")
        assert listed(loader) == [{"tokens": [7, 2]}] and counted(loader).dropped == {"too long": 1}

    def test_not_utf8(self, tmp_path):
        (tmp_path / "x.txt").write_bytes(b"a\nb \xe9\n")
        with pytest.raises(MassError, match="x.txt, line 2: not UTF-8"):
            listed(MonoLingualDataLoader(str(tmp_path / "x.txt"), VOCABULARY))

    def test_undecodable_bytes_replaced_and_counted(self, tmp_path):
        (tmp_path / "x.txt").write_bytes(b"a\na \xe9\nc\n")
        loader = MonoLingualDataLoader(str(tmp_path / "x.txt"), VOCABULARY, errors="replace")
        assert listed(loader) == [{"tokens": [5, 2]}, {"tokens": [5, 3, 2]}, {"tokens": [7, 2]}]
        assert counted(loader).damaged == {"tokens": 1}

    @pytest.mark.parametrize("max_len", [1, 0, -5])
    def test_impossible_max_len(self, max_len):
        with pytest.raises(UsageError, match=f"--max_len {max_len}"):
            MonoLingualDataLoader("x.txt", VOCABULARY, max_len)

    @pytest.mark.parametrize("min_len", [0, -1, 65])
    def test_impossible_min_len(self, min_len):
        with pytest.raises(UsageError, match=f"--min_len {min_len}"):
            MonoLingualDataLoader("x.txt", VOCABULARY, 64, min_len)


class TestBiLingualDataLoader:
    def load(self, tmp_path, source, target, **options):
        paths = file_with(tmp_path / "x.src", source), file_with(tmp_path / "x.tgt", target)
        return BiLingualDataLoader(*paths, VOCABULARY, **options)

    def test_pairs(self, tmp_path):
        loader = self.load(tmp_path, "a\nc\n", "c a\na")
        assert listed(loader) == [{"source": [5, 2], "target": [7, 5, 2]}, {"source": [7, 2], "target": [5, 2]}]
        assert counted(loader).lines_read == 2

    def test_a_training_set_drops_by_reason(self, tmp_path):
        loader = self.load(tmp_path, "a\n\na\na a a\na\n\nc", "c\na\n\na\na a a\n\nc", max_len=3)
        assert listed(loader) == [{"source": [5, 2], "target": [7, 2]}, {"source": [7, 2], "target": [7, 2]}]
        counts = counted(loader)
        assert counts.lines_read == 7 and not counts.flawed
        assert counts.dropped == {"both sides empty": 1, "empty source": 1, "empty target": 1, "source too long": 1,
                                  "target too long": 1}

    def test_what_is_too_short(self, tmp_path):
        loader = self.load(tmp_path, "a\na a\na a\n\n", "a a\na\na a\na\n", min_len=3)
        assert listed(loader) == [{"source": [5, 5, 2], "target": [5, 5, 2]}]
        assert counted(loader).dropped == {"source too short": 1, "target too short": 1, "empty source": 1}
        kept = self.load(tmp_path, "a\na a\na a\n\n", "a a\na\na a\na\n", min_len=3, keep_all=True)
        assert len(listed(kept)) == 4

    def test_an_evaluation_set_keeps_every_pair(self, tmp_path):
        loader = self.load(tmp_path, "a\n\na\na c a c\n", "c\na\n\na a a c\n", max_len=3, keep_all=True)
        assert listed(loader) == [
            {"source": [5, 2], "target": [7, 2]},
            {"source": [2], "target": [5, 2]},
            {"source": [5, 2], "target": [2]},
            {"source": [5, 7, 2], "target": [5, 5, 2]},
        ]
        counts = counted(loader)
        assert counts.lines_read == 4 and not counts.dropped
        assert counts.flawed == {"empty source": 1, "empty target": 1, "source truncated": 1, "target truncated": 1}

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(pairs=st.lists(st.tuples(DIRT, DIRT)), last_newline=st.booleans())
    def test_dirt_does_not_shift_the_pairing(self, tmp_path, pairs, last_newline):
        paths = []
        for side in (0, 1):
            text = "\n".join(f"{number} {pair[side]}" for number, pair in enumerate(pairs))
            paths.append(file_with(tmp_path / f"{side}.txt", text + "\n" * (last_newline and bool(pairs))))
        vocabulary = Dictionary((str(number), 1) for number in range(len(pairs)))
        loader = BiLingualDataLoader(*paths, vocabulary, keep_all=True)
        first_tokens = [(example["source"][0], example["target"][0]) for example in loader]
        assert first_tokens == [(5 + number, 5 + number) for number in range(len(pairs))]

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(pairs=st.lists(st.tuples(RAW_DIRT, RAW_DIRT)), data=st.data())
    def test_nor_do_undecodable_bytes_line_ends_and_parts(self, tmp_path, pairs, data):
        paths = []
        for side in (0, 1):
            content = data.draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
            for number, pair in enumerate(pairs):
                content += b"%d " % number + pair[side] + data.draw(st.sampled_from([b"\n", b"\r\n"]))
            (tmp_path / f"{side}.txt").write_bytes(content.removesuffix(data.draw(st.sampled_from([b"", b"\n"]))))
            paths.append(str(tmp_path / f"{side}.txt"))
        vocabulary = Dictionary((str(number), 1) for number in range(len(pairs)))
        loader = BiLingualDataLoader(*paths, vocabulary, keep_all=True, errors="replace")
        first_tokens = []
        for part in aligned_parts(*paths, part_bytes=30, step_lines=2, block_bytes=11):
            source, target = loader.encode(part, TokenIds(vocabulary), loader.settings).columns.values()
            first_tokens += [(pair[0][0], pair[1][0]) for pair in zip(source, target, strict=True)]
        assert first_tokens == [(5 + number, 5 + number) for number in range(len(pairs))]

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

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(sizes=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=40), data=st.data())
    def test_parts_hold_the_same_lines_of_both(self, tmp_path, sizes, data):
        ends = [data.draw(st.sampled_from(["", "\n"]) if side and side[-1] else st.just("\n" * bool(side)))
                for side in zip(*sizes, strict=True)] or ["", ""]
        paths = [file_with(tmp_path / f"{side}.txt", "\n".join("a" * pair[side] for pair in sizes) + ends[side])
                 for side in (0, 1)]
        parts = list(aligned_parts(*paths, part_bytes=20, step_lines=3, block_bytes=7))
        assert all(part.source.decode().text.count("\n") == part.target.decode().text.count("\n") for part in parts)
        for side in (0, 1):
            text = "".join(part[side].decode().text for part in parts)
            assert text == "".join("a" * pair[side] + "\n" for pair in sizes)

    @pytest.mark.parametrize("source, target", [("\ufeff", ""), ("", "\ufeff"), ("", ""), ("\ufeff\n", "\n")])
    def test_files_of_a_byte_order_mark(self, tmp_path, source, target):
        assert len(listed(self.load(tmp_path, source, target, keep_all=True))) == source.count("\n")


def test_only_spaces_separate_tokens():
    vocabulary = Dictionary.from_counts({"a": 3, "b\u00a0c\u2028d": 2})
    text = DecodedText(" a  b\u00a0c\u2028d \t \n\na\n", damaged=0)
    assert [row.tolist() for row in TokenIds(vocabulary).encode(text)] == [[5, 6, 2], [2], [5, 2]]


@given(st.lists(st.lists(st.sampled_from(["a", "b@@", "c", "A", "new", "</s>", "UNK"]))))
def test_encoded_as_the_vocabulary_does(lines):
    text = DecodedText("".join(" ".join(tokens) + "\n" for tokens in lines), damaged=0)
    expected = [VOCABULARY.encode(tokens).tolist() for tokens in lines]
    assert [row.tolist() for row in TokenIds(VOCABULARY).encode(text)] == expected
