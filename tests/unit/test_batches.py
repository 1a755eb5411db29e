"""Batches: every example once per epoch, little padding, and the same steps for any number of ranks."""
import itertools
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.loading import config_from_dict
from src.common.errors import MassError, UsageError
from src.common.ragged import RaggedArray
from src.dataset.batching.batch import Shape
from src.dataset.batching.buckets import choose_buckets, choose_lengths, place
from src.dataset.batching.collate import pair_collate, source_mask
from src.dataset.batching.factory import create_batch_source
from src.dataset.batching.lengths import LengthHistogram
from src.inference.examples import ExampleSet
from src.language_model import NoiseChannelLanguageModel
from src.utils.dictionary import BOS_INDEX, EOS_INDEX, MASK_INDEX

COUNT, SEQ_LENGTH = 103, 24
KINDS = ("sentences", "pairs")
SOURCE_ARRAYS = ("source_ids", "source_positions", "source_mask")
TARGET_ARRAYS = ("decoder_input_ids", "decoder_positions", "labels")
PACKED, BUCKETS = {}, {"pack_sentences": False, "num_buckets": 3}


@dataclass
class Records:
    """The attributes of a RecordSet that `create_batch_source` uses, without files."""

    columns: dict[str, RaggedArray]
    paths: tuple[str, ...] = ("some.tfrecord",)
    info: SimpleNamespace = field(default_factory=SimpleNamespace)

    def __len__(self):
        return len(next(iter(self.columns.values())))


def make_records(kind, count=COUNT, longest=SEQ_LENGTH, shortest=1):
    """Return records of random lengths in which example i repeats the token 5 + i and ends with </s>."""
    generator = np.random.default_rng(5)
    columns = {}
    for name in (("tokens",) if kind == "sentences" else ("source", "target")):
        lengths = generator.integers(shortest, longest + 1, count)
        columns[name] = RaggedArray.from_sequences([[5 + i] * (n - 1) + [EOS_INDEX] for i, n in enumerate(lengths)])
    masking = {"fragment_ratio": 0.5, "noise_prob": 0.3}
    return Records(columns, info=SimpleNamespace(kind=kind, vocabulary={"size": 5 + count}, masking=masking))


def make_source(records, rank=0, world_size=1, shapes=(), noisy=True, **dataset):
    config = config_from_dict({"dataset_config": {"batch_size": 16, **dataset},
                               "model_config": {"seq_length": SEQ_LENGTH, "random_seed": 7}})
    return create_batch_source(records, config, noisy, rank, world_size, shapes)


def equal(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def contents(batch):
    """Return the arrays of each example of a batch as tuples, except the segments, in sorted order."""
    found = []
    for row in range(len(batch.labels)):
        for segment in range(1, batch.source_segments[row].max() + 1):
            source, target = batch.source_segments[row] == segment, batch.decoder_segments[row] == segment
            found.append((*(tuple(getattr(batch, name)[row, source]) for name in SOURCE_ARRAYS),
                          *(tuple(getattr(batch, name)[row, target]) for name in TARGET_ARRAYS)))
    return sorted(found)


def examples_of_step(source, epoch, number):
    """Return the indices of the examples in a step, on all ranks together."""
    indices, _ = source.plan.step(number, source.accumulate * source.world_size, epoch)
    return indices[indices >= 0].tolist()


def whole_steps(sources, epoch=0):
    """Yield the contents of each step, of all ranks together."""
    for parts in zip(*(source.steps(epoch) for source in sources), strict=True):
        yield sorted(itertools.chain.from_iterable(contents(batch) for part in parts for batch in part))


# Buckets


def padded_positions(lengths, chosen):
    return sum(min(size for size in chosen if size >= length) for length in lengths)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=40), st.integers(1, 3))
@settings(max_examples=60)
def test_chosen_lengths_pad_least(lengths, count):
    chosen = choose_lengths(*np.unique(lengths, return_counts=True), count, multiple=2)
    assert len(chosen) <= count and chosen == sorted(set(chosen)) and all(size % 2 == 0 for size in chosen)
    candidates = range(2, 2 * -(-max(lengths) // 2) + 1, 2)
    best = min(padded_positions(lengths, subset) for size in range(1, count + 1)
               for subset in itertools.combinations(candidates, size) if max(subset) >= max(lengths))
    assert padded_positions(lengths, chosen) == best


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=60, unique=True),
       st.integers(1, 4), st.sampled_from([0.5, 0.98, 1.0]))
@settings(max_examples=60)
def test_every_pair_has_a_bucket_that_holds_it(pairs, count, held):
    source, target = np.array(pairs).T
    lengths = LengthHistogram(source, target, 1 + source % 3)
    buckets = choose_buckets(lengths, count, held)
    placed = place(lengths, buckets)
    for (s, t), number in zip(pairs, placed, strict=True):
        assert buckets[number][0] >= s and buckets[number][1] >= t
    if held == 1.0:
        np.testing.assert_array_equal(placed, np.searchsorted([bucket[0] for bucket in buckets], source))


# Batches


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [PACKED, BUCKETS, {"max_tokens": 100, "accumulate_batches": 3}])
def test_an_epoch_holds_each_example_once_and_incomplete_batches_too(kind, options):
    source = make_source(make_records(kind), **options)
    for epoch in (0, 3):
        steps = [examples_of_step(source, epoch, number) for number in range(source.steps_per_epoch)]
        assert sorted(itertools.chain.from_iterable(steps)) == list(range(COUNT)) and all(steps)
        for step, batches in zip(steps, source.steps(epoch), strict=True):
            assert sum(len(contents(batch)) for batch in batches) == len(step)
    indices = np.concatenate([indices for indices, _ in source.in_order()])
    assert sorted(indices[indices >= 0]) == list(range(COUNT))
    orders = [tuple(examples_of_step(source, epoch, 0)) for epoch in range(4)]
    assert len(set(orders)) == 4


@pytest.mark.parametrize("options", [PACKED, BUCKETS])
def test_rows_hold_whole_examples(options):
    records = make_records("pairs")
    source = make_source(records, noisy=False, **options)
    for indices, batch in source.in_order():
        assert all(array.dtype == np.int32 and array.flags.c_contiguous for array in batch)
        rows = indices.reshape(len(batch.labels), -1)
        for row, examples in enumerate(rows):
            examples = examples[examples >= 0]
            wanted = [[records.columns[name][i] for i in examples] for name in ("source", "target")]
            for ids, positions, segments, sequences in (
                    (batch.source_ids, batch.source_positions, batch.source_segments, wanted[0]),
                    (batch.labels, batch.decoder_positions, batch.decoder_segments, wanted[1])):
                empty = [0] * (ids.shape[1] - sum(map(len, sequences)))
                assert ids[row].tolist() == [token for sequence in sequences for token in sequence] + empty
                assert positions[row].tolist() == [i for sequence in sequences for i in range(len(sequence))] + empty
                assert segments[row].tolist() == [number for number, sequence in enumerate(sequences, start=1)
                                                  for _ in sequence] + empty
            inputs = [token for sequence in wanted[1] for token in [BOS_INDEX, *sequence[:-1]]]
            assert batch.decoder_input_ids[row, : len(inputs)].tolist() == inputs
            assert not batch.decoder_input_ids[row, len(inputs) :].any()
        if options == BUCKETS:
            assert rows.shape[1] == 1 and batch.source_segments.max() == 1


@pytest.mark.parametrize("options", [PACKED, BUCKETS])
def test_packing_does_not_change_what_the_network_sees(options):
    """Masks depend only on the example, not on its batch, its row or the order of the epoch."""
    records = make_records("sentences")
    plain = make_source(records, pack_sentences=False, num_buckets=1, batch_size=COUNT)
    expected = next(whole_steps([plain], epoch=2))
    found = itertools.chain.from_iterable(whole_steps([make_source(records, **options)], epoch=2))
    assert sorted(found) == expected and len(expected) == COUNT


@given(st.sampled_from(KINDS), st.sampled_from([PACKED, BUCKETS]), st.sampled_from([1, 2, 3]), st.integers(1, 9),
       st.integers(0, 2))
@settings(max_examples=12)
def test_large_batches_ranks_and_accumulation_are_the_same_steps(kind, options, parts, rows, epoch):
    records = make_records(kind, count=41)

    shapes = make_source(records, **options).plan.shapes

    def steps(rows, ranks=1, accumulate=1):
        given = [shape._replace(rows=rows) for shape in shapes]
        sources = [make_source(records, rank, ranks, given, accumulate_batches=accumulate, **options)
                   for rank in range(ranks)]
        assert all(len(next(source.steps(epoch))) == accumulate for source in sources)
        return list(whole_steps(sources, epoch))

    one = steps(rows * parts)
    assert steps(rows, ranks=parts) == one and steps(rows, accumulate=parts) == one
    assert sum(map(len, one)) == len(records)


@pytest.mark.parametrize("options", [PACKED, BUCKETS])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_ranks_share_the_data_in_equal_numbers_of_equal_batches(options, accumulate):
    sources = [make_source(make_records("pairs"), rank, 3, accumulate_batches=accumulate, **options)
               for rank in range(3)]
    shapes = [[[array.shape for array in batch] for batches in source.steps(1) for batch in batches]
              for source in sources]
    assert shapes[0] == shapes[1] == shapes[2] and len(shapes[0]) == accumulate * sources[0].steps_per_epoch
    in_order = [list(source.in_order()) for source in sources]
    assert len({len(batches) for batches in in_order}) == 1
    for batches in zip(*in_order, strict=True):
        assert len({tuple(array.shape for array in batch) for _, batch in batches}) == 1
    indices = np.concatenate([indices for batches in in_order for indices, _ in batches])
    assert sorted(indices[indices >= 0]) == list(range(COUNT))


@pytest.mark.parametrize("options", [PACKED, BUCKETS])
def test_a_batch_is_a_function_of_seed_epoch_and_step(options):
    records = make_records("sentences")
    one, other = make_source(records, **options), make_source(records, **options)
    first, again, next_epoch = ([batch for batches in source.steps(epoch) for batch in batches]
                                for source, epoch in ((one, 2), (other, 2), (one, 3)))
    assert all(map(equal, first, again))
    assert not any(map(equal, first, next_epoch))
    middle = [batch for batches in one.steps(2, start=3) for batch in batches]
    assert len(first) > 4 and all(map(equal, middle, first[3:])) and len(middle) == len(first) - 3
    assert all(equal(a, b) for (_, a), (_, b) in zip(one.in_order(), other.in_order(), strict=True))


def test_masks_are_fresh_in_each_epoch():
    source = make_source(make_records("sentences", count=8, shortest=SEQ_LENGTH))
    epochs = [sorted(itertools.chain.from_iterable(whole_steps([source], epoch))) for epoch in range(6)]
    for examples in zip(*epochs, strict=True):  # one example in the six epochs
        seen, first_predicted = {example[0] for example in examples}, {example[4][0] for example in examples}
        assert len(seen) == 6 and len(first_predicted) > 1


@pytest.mark.parametrize("options", [PACKED, BUCKETS])
def test_mask_tokens_and_padding_are_not_attended_to(options):
    source = make_source(make_records("sentences"), **options)
    for batches in source.steps(0):
        for batch in batches:
            present = batch.source_ids != 0
            np.testing.assert_array_equal(present, batch.source_segments > 0)
            np.testing.assert_array_equal(batch.labels != 0, batch.decoder_segments > 0)
            np.testing.assert_array_equal(batch.labels != 0, batch.decoder_input_ids != 0)
            for ids, _, mask, *_ in contents(batch):
                masked = np.array(ids) == MASK_INDEX
                np.testing.assert_array_equal(mask, np.ones(len(ids)) if masked.all() else ~masked)
            assert not batch.source_mask[~present].any()
            assert batch.target_tokens == np.count_nonzero(batch.labels)
            assert batch.tokens == present.sum() + batch.target_tokens


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [PACKED, BUCKETS, {"accumulate_batches": 2}])
def test_padding_is_what_is_counted(kind, options):
    source = make_source(make_records(kind), **options)
    batches = [batch for batches in source.steps(0) for batch in batches]
    positions = sum(batch.source_ids.size + batch.labels.size for batch in batches)
    assert source.padding() == pytest.approx(1 - sum(batch.tokens for batch in batches) / positions)


def test_packing_needs_one_shape_and_pads_less_than_buckets():
    records = make_records("sentences", count=5000)
    packed, buckets = (make_source(records, **options) for options in (PACKED, BUCKETS))
    assert len(packed.plan.shapes) == 1 and len(buckets.plan.shapes) == 3
    assert packed.padding() < 0.05 < buckets.padding()


def test_a_batch_holds_about_batch_size_examples_or_max_tokens_positions():
    records = make_records("sentences", count=2000)
    source = make_source(records, batch_size=50)
    assert len(records) / source.steps_per_epoch == pytest.approx(50, rel=0.05)
    for options in (PACKED, BUCKETS):
        shapes = make_source(records, max_tokens=480, **options).plan.shapes
        assert all(440 < shape.rows * max(shape[1:]) <= 480 for shape in shapes)
    assert {shape.rows for shape in make_source(records, batch_size=50, **BUCKETS).plan.shapes} <= {48, 49, 50}


def test_rows_are_split_evenly():
    """Fifty examples in batches of up to 16 give batches of 12 and 13, not three full batches and a rest of two."""
    source = make_source(make_records("pairs", count=50), pack_sentences=False, num_buckets=1)
    assert [len(contents(batch)) for _, batch in source.in_order()] == [12, 13, 12, 13]
    assert source.plan.shapes[0].rows == 13  # no batch has a row that is never used
    ranks = [make_source(make_records("pairs", count=50), rank, 2, pack_sentences=False, num_buckets=1)
             for rank in range(2)]
    counts = [len(contents(batch)) for source in ranks for _, batch in source.in_order()]
    assert sorted(counts) == [12, 12, 13, 13]


@pytest.mark.parametrize("options", [PACKED, BUCKETS])
def test_validation_uses_the_shapes_of_training_if_they_hold_all_examples(options):
    shapes = make_source(make_records("pairs"), **options).plan.shapes
    valid = make_source(make_records("pairs", count=20, longest=18), shapes=shapes, **options)
    assert set(valid.plan.shapes) <= set(shapes)
    small = make_source(make_records("pairs", longest=10), **options).plan.shapes
    small = [shape._replace(source_len=10, target_len=10) for shape in small]
    assert all(shape not in small for shape in make_source(make_records("pairs"), shapes=small, **options).plan.shapes)


@pytest.mark.parametrize(("count", "searched", "scored"), [(511, 4, 1), (512, 4, 2), (1536, 4, 4), (9999, 4, 4)])
def test_small_sets_are_scored_in_few_shapes(count, searched, scored):
    """Each shape of scoring is compiled; the search on a CPU compiles nothing."""
    examples = ExampleSet(make_records("pairs", count), list, {}, None, ("some.tfrecord",))
    config = config_from_dict({"model_config": {"seq_length": SEQ_LENGTH}})
    assert len(examples.batches(config).plan.shapes) == searched
    assert len(examples.scoring_batches(config).plan.shapes) == scored


def test_data_that_cannot_be_batched():
    with pytest.raises(UsageError, match="source sequence of 25 tokens.*seq_length is 24"):
        make_source(make_records("pairs", longest=25))
    with pytest.raises(UsageError, match="token sequence of 25 tokens"):
        make_source(make_records("sentences", longest=25))
    with pytest.raises(UsageError, match="source sequence of [0-9]{6} tokens"):  # without 75 GB for pairs of lengths
        make_source(make_records("pairs", count=2, shortest=100_000, longest=100_010))
    with pytest.raises(MassError, match="holds no example"):
        make_source(make_records("pairs", count=0))


def test_pair_batches_shift_the_target():
    source = RaggedArray.from_sequences([[5, 6, EOS_INDEX], [7, EOS_INDEX]])
    target = RaggedArray.from_sequences([[8, EOS_INDEX], [9, 10, EOS_INDEX]])
    collate = pair_collate(source, target, NoiseChannelLanguageModel(0.0), attend_to_masks=False)
    batch = collate(np.array([1, -1, 0]), Shape(3, 4, 4), np.random.default_rng(0))
    np.testing.assert_array_equal(batch.source_ids, [[7, 2, 0, 0], [0, 0, 0, 0], [5, 6, 2, 0]])
    np.testing.assert_array_equal(batch.labels, [[9, 10, 2, 0], [0, 0, 0, 0], [8, 2, 0, 0]])
    np.testing.assert_array_equal(batch.decoder_input_ids, [[BOS_INDEX, 9, 10, 0], [0] * 4, [BOS_INDEX, 8, 0, 0]])
    np.testing.assert_array_equal(batch.decoder_positions, [[0, 1, 2, 0], [0] * 4, [0, 1, 0, 0]])
    with pytest.raises(ValueError, match="5 tokens, but the row has 4"):
        collate(np.array([[0, 1]]), Shape(1, 4, 8), np.random.default_rng(0))


def test_a_completely_masked_sentence_is_still_attended_to():
    ids = np.array([[MASK_INDEX, MASK_INDEX, 0], [7, MASK_INDEX, 0], [0, 0, 0]], np.int32)
    np.testing.assert_array_equal(source_mask(ids, attend_to_masks=False), [[1, 1, 0], [1, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(source_mask(ids, attend_to_masks=True), [[1, 1, 0], [1, 1, 0], [0, 0, 0]])
