"""Buckets, plans and batches: nothing lost, nothing twice, little padded, always the same."""
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.dataset.batch import Shape, pair_collate, sentence_collate, source_mask
from src.dataset.batch_plan import BatchPlan, BatchSource
from src.dataset.buckets import choose_lengths, pair_lengths, place
from src.language_model import MassLanguageModel, NoiseChannelLanguageModel
from src.utils.dictionary import BOS_INDEX, EOS_INDEX, MASK_INDEX
from src.utils.ragged import RaggedArray


def padded_positions(lengths, chosen):
    return sum(min(size for size in chosen if size >= length) for length in lengths)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=40), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_chosen_lengths_pad_least(lengths, count):
    chosen = choose_lengths(np.array(lengths), count, multiple=2)
    assert len(chosen) <= count and chosen == sorted(set(chosen)) and all(size % 2 == 0 for size in chosen)
    candidates = range(2, 2 * -(-max(lengths) // 2) + 1, 2)
    best = min(padded_positions(lengths, subset) for size in range(1, count + 1)
               for subset in itertools.combinations(candidates, size) if max(subset) >= max(lengths))
    assert padded_positions(lengths, chosen) == best


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=60), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_every_pair_has_a_shape_that_holds_it(pairs, count):
    source, target = np.array(pairs).T
    shapes = [Shape(4, *lengths) for lengths in pair_lengths(source, target, count)]
    for (s, t), number in zip(pairs, place(source, target, shapes), strict=True):
        assert shapes[number].source_len >= s and shapes[number].target_len >= t


def make_source(count=103, seed=5, rows=8):
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, 20, count)
    tokens = RaggedArray.from_sequences([[5 + i] * (n - 1) + [EOS_INDEX] for i, n in enumerate(lengths)])
    model = MassLanguageModel(5 + count)
    shapes = [Shape(rows, size, model.target_length(size)) for size in choose_lengths(lengths, 3)]
    plan = BatchPlan(place(lengths, np.ones_like(lengths), shapes), shapes, seed=7)
    targets = model.fragment_lengths(lengths)
    return BatchSource(plan, sentence_collate(tokens, model, attend_to_masks=False), lengths, targets), tokens


def equal(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_an_epoch_holds_each_example_once_and_incomplete_batches_too():
    source, _ = make_source()
    for planned in (source.plan.epoch(0), source.plan.epoch(3), source.plan.in_order()):
        indices = np.concatenate([batch.indices for batch in planned])
        assert sorted(indices[indices >= 0]) == list(range(103))
        assert len(planned) == source.plan.batches_per_epoch
        assert all(len(batch.indices) == batch.shape.rows for batch in planned)


def test_a_batch_is_a_function_of_seed_epoch_and_step():
    one, _ = make_source()
    other, _ = make_source()
    first, again, next_epoch = list(one.epoch(2)), list(other.epoch(2)), list(one.epoch(3))
    assert all(map(equal, first, again))
    assert not all(map(equal, first, next_epoch))
    assert all(map(equal, one.epoch(2, start=5), first[5:]))  # the middle of an epoch needs nothing before it
    assert all(equal(a, b) for (_, a), (_, b) in zip(one.in_order(), other.in_order(), strict=True))


def test_masks_are_fresh_in_each_epoch():
    source, _ = make_source(count=8)
    seen = {tuple(batch.labels.sum(axis=1)) for epoch in range(6) for batch in source.epoch(epoch)}
    assert len(seen) > 6


def test_sentence_batches_hide_what_holds_a_mask_and_padding():
    source, _ = make_source()
    for batch in source.epoch(0):
        expected = (batch.source_ids != 0) & (batch.source_ids != MASK_INDEX)
        partly = expected.any(axis=1)
        np.testing.assert_array_equal(batch.source_mask[partly], expected[partly])
        np.testing.assert_array_equal(batch.decoder_mask, batch.labels != 0)
        assert batch.target_tokens == np.count_nonzero(batch.labels)
        assert all(array.dtype == np.int32 for array in batch)


def test_padding_is_what_is_counted():
    source, _ = make_source()
    batches = list(source.epoch(0))
    positions = sum(batch.source_ids.size + batch.labels.size for batch in batches)
    tokens = sum(batch.tokens for batch in batches)
    assert source.padding() == pytest.approx(1 - tokens / positions)


def test_pair_batches_shift_the_target():
    source = RaggedArray.from_sequences([[5, 6, EOS_INDEX], [7, EOS_INDEX]])
    target = RaggedArray.from_sequences([[8, EOS_INDEX], [9, 10, EOS_INDEX]])
    collate = pair_collate(source, target, NoiseChannelLanguageModel(0.0), attend_to_masks=False)
    batch = collate(np.array([1, -1, 0]), Shape(3, 4, 4), np.random.default_rng(0))
    np.testing.assert_array_equal(batch.source_ids, [[7, 2, 0, 0], [0, 0, 0, 0], [5, 6, 2, 0]])
    np.testing.assert_array_equal(batch.labels, [[9, 10, 2, 0], [0, 0, 0, 0], [8, 2, 0, 0]])
    np.testing.assert_array_equal(batch.decoder_input_ids, [[BOS_INDEX, 9, 10, 0], [0] * 4, [BOS_INDEX, 8, 0, 0]])
    np.testing.assert_array_equal(batch.decoder_positions, np.tile(np.arange(4), (3, 1)))


@given(st.lists(st.lists(st.integers(5, 99), max_size=6), max_size=8))
@settings(deadline=None)
def test_ragged_arrays_give_back_what_was_put_in(sequences):
    ragged = RaggedArray.from_sequences(sequences)
    assert [ragged[i].tolist() for i in range(len(ragged))] == sequences
    if sequences:
        padded = ragged.padded(np.arange(len(sequences)), 6)
        assert [[n for n in row if n] for row in padded.tolist()] == sequences
        with pytest.raises(ValueError, match="does not fit"):
            RaggedArray.from_sequences([[1] * 7]).padded(np.array([0]), 6)


def test_a_sentence_masked_from_end_to_end_is_still_looked_at():
    ids = np.array([[MASK_INDEX, MASK_INDEX, 0], [7, MASK_INDEX, 0], [0, 0, 0]], np.int32)
    np.testing.assert_array_equal(source_mask(ids, attend_to_masks=False), [[1, 1, 0], [1, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(source_mask(ids, attend_to_masks=True), [[1, 1, 0], [1, 1, 0], [0, 0, 0]])
