"""Lengths and packing: every example is in one row, no row is too long, and little of it is padding."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.common.ragged import RaggedArray
from src.dataset.batching.lengths import ExampleLengths, LengthHistogram
from src.dataset.batching.packing import choose_rows, pack

PAIRS = st.lists(st.tuples(st.integers(1, 20), st.integers(1, 9)), min_size=1, max_size=60)


def histogram(source, target=None):
    pairs = np.stack([source, np.maximum(1, np.asarray(source) // 2) if target is None else target], axis=1)
    lengths, counts = np.unique(pairs, axis=0, return_counts=True)
    return LengthHistogram(lengths[:, 0], lengths[:, 1], counts)


def column(lengths):
    return RaggedArray.from_sequences([[7] * length for length in lengths])


def padding(lengths, rows):
    tokens = (lengths.source + lengths.target) @ lengths.counts
    return 1 - tokens / (rows.patterns.repeats.sum() * (rows.source_len + rows.target_len))


@given(PAIRS, st.integers(20, 50), st.integers(9, 25))
@settings(max_examples=80)
def test_each_example_is_packed_once_and_no_room_is_left(pairs, source_len, target_len):
    lengths = histogram(*np.array(pairs).T)
    groups, repeats = pack(lengths, source_len, target_len)
    packed = np.zeros_like(lengths.counts)
    free = []
    for row, count in zip(groups, repeats, strict=True):
        present = row[row >= 0]
        np.add.at(packed, present, count)
        free.append((source_len - lengths.source[present].sum(), target_len - lengths.target[present].sum()))
    np.testing.assert_array_equal(packed, lengths.counts)
    assert np.min(free) >= 0 and repeats.min() >= 1
    # No example of a later row would have fitted into an earlier row.
    for i, (source_free, target_free) in enumerate(free):
        later = np.unique(groups[i + 1 :])
        later = later[later >= 0]
        assert not ((lengths.source[later] <= source_free) & (lengths.target[later] <= target_free)).any()


def test_rows_that_can_be_full_are_full():
    assert pack(histogram([16] * 12, [4] * 12), 64, 16).repeats.sum() == 3
    assert pack(histogram([40, 24] * 9, [10, 6] * 9), 64, 16).repeats.sum() == 9
    # The sides balance each other: a long source with a short target, beside a short source with a long target.
    assert pack(histogram([50, 14] * 9, [2, 14] * 9), 64, 16).repeats.sum() == 9


def test_an_example_longer_than_a_row():
    with pytest.raises(ValueError, match="20 and 4 tokens do not fit into rows of 16 and 8"):
        pack(histogram([3, 20], [1, 4]), 16, 8)


def bell(count=20000, mean=30, deviation=11, shortest=5, longest=64):
    drawn = np.random.default_rng(0).normal(mean, deviation, count)
    return np.clip(np.rint(drawn), shortest, longest).astype(int)


def test_sentences_fill_the_shortest_rows():
    lengths = histogram(bell())
    rows = choose_rows(lengths)
    assert rows.source_len == 64 and padding(lengths, rows) < 0.05


def test_pairs_fill_both_sides():
    generator = np.random.default_rng(1)
    source = bell()
    target = np.clip(np.rint(source * generator.normal(0.3, 0.08, len(source))), 2, 18).astype(int)
    lengths = histogram(source, target)
    rows = choose_rows(lengths)
    assert padding(lengths, rows) < 0.05
    assert rows.target_len / rows.source_len == pytest.approx(target.sum() / source.sum(), abs=1 / rows.source_len)


def test_long_sentences_get_longer_rows_within_limits():
    """A row holds only one sentence longer than half of it: rows of two or three times the length have less padding."""
    lengths = histogram(np.random.default_rng(2).integers(40, 65, 20000))
    free, limited = choose_rows(lengths), choose_rows(lengths, longest_row=64)
    assert free.source_len > 64 == limited.source_len
    assert padding(lengths, free) < padding(lengths, limited)
    assert choose_rows(histogram([30, 40]), longest_row=8).source_len == 40  # a row holds any example
    assert choose_rows(histogram([3], [30]), longest_row=16).target_len == 30


@given(PAIRS, st.integers(1, 7))
@settings(max_examples=60)
def test_lengths_are_counted_and_examples_sorted(pairs, block_size):
    source, target = np.array(pairs).T
    lengths = ExampleLengths([column(source), column(target)], block_size=block_size)
    expected = histogram(source, target)
    for found, wanted in zip(lengths.histogram, expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert lengths.longest == [source.max(), target.max()] and lengths.tokens == source.sum() + target.sum()
    groups = np.arange(len(expected.counts)) % 3 % len(expected.counts)
    members, starts = lengths.grouped(groups)
    group_of = {(s, t): group for s, t, group in zip(expected.source, expected.target, groups, strict=True)}
    for group in range(len(starts) - 1):
        wanted = [i for i, pair in enumerate(pairs) if group_of[pair] == group]
        assert members[starts[group] : starts[group + 1]].tolist() == wanted  # in the order of the data


def test_sentences_have_the_target_lengths_of_the_objective():
    lengths = ExampleLengths([column([4, 9, 4])], lambda source: source // 2)
    assert lengths.histogram.source.tolist() == [4, 9] and lengths.histogram.target.tolist() == [2, 4]
    assert lengths.histogram.counts.tolist() == [2, 1] and lengths.tokens == 17 + 8


def test_too_many_classes_are_rounded_up():
    generator = np.random.default_rng(0)
    source, target = generator.integers(1, 31, 300), generator.integers(1, 21, 300)
    lengths = ExampleLengths([column(source), column(target)], max_classes=12)
    rounded = lengths.histogram
    assert len(rounded.counts) <= 12 and rounded.counts.sum() == 300
    assert rounded.source.max() == source.max() and rounded.target.max() == target.max()
    assert lengths.tokens == source.sum() + target.sum()  # padding is judged by the true lengths
    members, starts = lengths.grouped(np.arange(len(rounded.counts)))
    for group in range(len(rounded.counts)):
        examples = members[starts[group] : starts[group + 1]]
        assert source[examples].max() <= rounded.source[group] and target[examples].max() <= rounded.target[group]
