"""Ragged arrays, single and chained, compared with lists of lists."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.common.ragged import ChainedRaggedArray, RaggedArray, chain

sequences = st.lists(st.lists(st.integers(0, 1000), max_size=6), max_size=8)


def as_lists(ragged):
    return [ragged[index].tolist() for index in range(len(ragged))]


@given(st.lists(st.lists(st.integers(5, 99), max_size=6), max_size=8))
def test_sequences_are_returned_as_they_were_given(rows):
    ragged = RaggedArray.from_sequences(rows)
    assert as_lists(ragged) == rows
    if rows:
        padded = ragged.padded(np.arange(len(rows)), 6)
        assert [[n for n in row if n] for row in padded.tolist()] == rows
        with pytest.raises(ValueError, match="does not fit"):
            RaggedArray.from_sequences([[1] * 7]).padded(np.array([0]), 6)


@given(sequences, st.data())
def test_take(rows, data):
    indices = data.draw(st.lists(st.integers(0, len(rows) - 1))) if rows else []
    taken = RaggedArray.from_sequences(rows).take(np.array(indices, np.int64))
    assert as_lists(taken) == [rows[index] for index in indices]
    assert taken.lengths.tolist() == [len(rows[index]) for index in indices]


@given(sequences, st.integers(1, 6))
def test_truncated(rows, length):
    ragged = RaggedArray.from_sequences(rows)
    assert as_lists(ragged.truncated(length, 7)) == [
        row if len(row) <= length else [*row[: length - 1], 7] for row in rows]
    assert as_lists(ragged) == rows


@given(st.lists(sequences, min_size=1, max_size=4), st.data())
def test_a_chain_is_its_parts_one_after_the_other(parts, data):
    rows = [row for part in parts for row in part]
    chained = chain([RaggedArray.from_sequences(part) for part in parts])
    assert len(chained) == len(rows) and as_lists(chained) == rows
    assert chained.lengths.tolist() == [len(row) for row in rows]
    assert chained.values.tolist() == [value for row in rows for value in row]
    indices = np.array(data.draw(st.lists(st.integers(-1, len(rows) - 1))), np.int64)
    expected = [[*(rows[index] if index >= 0 else []), *[9] * 6][:6] for index in indices]
    found = chained.padded(indices, 6, pad=9)
    assert found.tolist() == expected and found.dtype == np.int32


def test_indices_beyond_a_chain():
    chained = ChainedRaggedArray([RaggedArray.from_sequences([[1]]), RaggedArray.from_sequences([[2], [3]])])
    assert chained[-1].tolist() == [3]
    with pytest.raises(IndexError):
        chained[3]
    with pytest.raises(IndexError):
        chained.padded(np.array([3]), 2)


def test_narrow_values_are_returned_as_int32():
    ragged = RaggedArray(np.array([65535, 1], np.uint16), np.array([0, 2]))
    assert ragged[0].dtype == np.int32 and ragged.padded(np.array([0]), 3).tolist() == [[65535, 1, 0]]
