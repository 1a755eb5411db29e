"""Random numbers by coordinates: uniform, unrelated to each other, and the same in any batch."""
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from src.common.counter_random import ExampleRandom, permuted, random_key

SIGNIFICANCE = 1e-4  # the numbers below are always the same: a sound generator passes on every run


def numbers(seed=1, epoch=0, examples=2000, columns=20):
    return ExampleRandom(random_key(seed, epoch), np.arange(examples)).random((examples, columns))


def even(counts):
    """Return whether the counts are consistent with equal probabilities."""
    return chisquare(np.asarray(counts).reshape(-1)).pvalue > SIGNIFICANCE


def unrelated(one, other):
    """Return whether pairs of numbers fall evenly into a grid of 8 by 8 cells."""
    return even(np.histogram2d(one.reshape(-1), other.reshape(-1), bins=8, range=[(0, 1), (0, 1)])[0])


def test_numbers_are_uniform():
    found = numbers()
    assert found.min() >= 0.0 and found.max() < 1.0
    assert even(np.histogram(found, bins=100, range=(0, 1))[0])
    low_bits = (found * 2.0**53).astype(np.uint64) & np.uint64(63)
    assert even(np.bincount(low_bits.reshape(-1).astype(int), minlength=64))


def test_neighbours_are_unrelated():
    found = numbers()
    assert unrelated(found[1:], found[:-1])  # examples
    assert unrelated(found[:, 1:], found[:, :-1])  # columns
    assert unrelated(found, numbers(epoch=1)) and unrelated(found, numbers(seed=2))
    assert unrelated(found[:20, :20], found[:20, :20].T)  # example i, column j and the other way about
    assert unrelated(numbers(seed=1, epoch=2), numbers(seed=2, epoch=1))
    generator = ExampleRandom(random_key(1, 0), np.arange(2000))
    first, second = generator.random((2000, 20)), generator.random((2000, 20))
    np.testing.assert_array_equal(first, found)
    assert unrelated(first, second) and unrelated(first[:, 1:], second[:, :-1])


def test_means_of_examples_have_the_right_variance():
    """The mean of m uniform numbers has variance 1 / (12 m): examples are neither favoured nor balanced."""
    means = numbers(examples=4000, columns=30).mean(axis=1)
    assert means.var() == pytest.approx(1 / (12 * 30), rel=0.1)


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=30, unique=True), st.data())
@settings(max_examples=50)
def test_an_example_draws_the_same_numbers_in_any_batch(examples, data):
    key = random_key(data.draw(st.integers(0, 99)), data.draw(st.integers(0, 9)))
    chosen = np.array(data.draw(st.lists(st.integers(0, len(examples) - 1), min_size=1)))
    examples = np.array(examples)
    highs = 1 + examples % 13

    def drawn(rows, columns):
        generator = ExampleRandom(key, examples[rows])
        return (generator.random((len(rows), columns)), generator.integers(0, highs[rows], endpoint=True),
                generator.integers(5, 900, (len(rows), columns), dtype=np.int32))

    everything, some = drawn(np.arange(len(examples)), 12), drawn(chosen, 7)
    for all_rows, rows in zip(everything, some, strict=True):
        np.testing.assert_array_equal(all_rows[chosen][..., :7] if rows.ndim == 2 else all_rows[chosen], rows)


def test_integers_are_uniform_within_their_limits():
    generator = ExampleRandom(random_key(3), np.arange(20000))
    found = generator.integers(5, 12, (20000, 2), dtype=np.int32)
    assert found.dtype == np.int32 and found.min() == 5 and found.max() == 11 and even(np.bincount(found.flat)[5:])
    highs = np.arange(20000) % 4
    found = generator.integers(0, highs, endpoint=True)
    assert not found[highs == 0].any()
    for high in (1, 2, 3):
        counts = np.bincount(found[highs == high])
        assert len(counts) == high + 1 and even(counts)


def test_a_size_with_another_number_of_rows_is_refused():
    with pytest.raises(ValueError, match="for 3 examples"):
        ExampleRandom(random_key(0), np.arange(3)).random((4, 2))


def test_different_coordinates_have_different_keys():
    keys = [int(random_key(*parts)[0]) for length in (1, 2, 3) for parts in itertools.product(range(6), repeat=length)]
    assert len(set(keys)) == 6 + 36 + 216
    assert random_key(1, np.arange(4))[2] == random_key(1, 2)


@given(st.integers(1, 3000), st.integers(0, 2**31))
@settings(max_examples=60)
def test_permutations_are_one_to_one(size, seed):
    found = permuted(np.arange(size), size, random_key(seed))
    assert found.dtype == np.int64 and sorted(found) == list(range(size))


@given(st.lists(st.tuples(st.integers(1, 10**7), st.floats(0, 0.999), st.integers(0, 99)), min_size=1, max_size=20))
@settings(max_examples=40)
def test_permutations_of_several_sizes_at_once(wanted):
    sizes, shares, keys = (np.array(part) for part in zip(*wanted, strict=True))
    positions = (sizes * shares).astype(np.int64)
    together = permuted(positions, sizes, random_key(keys))
    alone = [permuted(positions[i : i + 1], sizes[i], random_key(keys[i]))[0] for i in range(len(sizes))]
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("size", [2, 3, 5, 6, 8, 9, 17, 40])
def test_permutations_are_uniform(size):
    """Over many keys, two positions are mapped to each pair of different positions equally often."""
    keys = random_key(1, np.arange(40000))
    one, other = (permuted(np.full(len(keys), position), size, keys) for position in (0, size - 1))
    counts = np.bincount(one * size + other, minlength=size * size).reshape(size, size)
    assert not np.diag(counts).any() and even(counts[~np.eye(size, dtype=bool)])


def test_long_permutations_leave_no_order():
    found = permuted(np.arange(50000), 50000, random_key(4)) / 50000
    assert unrelated(found, np.arange(50000) / 50000) and unrelated(found[1:], found[:-1])
