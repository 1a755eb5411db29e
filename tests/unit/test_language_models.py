"""What each objective masks for the encoder and lets the decoder predict, as properties over many draws."""
from dataclasses import fields

import numpy as np
import pytest

from config.config import DatasetConfig
from config.loading import config_from_dict
from src.common.counter_random import ExampleRandom, random_key
from src.common.errors import UsageError
from src.language_model import (
    FRAGMENT_LANGUAGE_MODELS,
    FragmentLanguageModel,
    MassLanguageModel,
    NoiseChannelLanguageModel,
)
from src.utils.dictionary import BOS_INDEX, EOS_INDEX, MASK_INDEX, PAD_INDEX, SPECIAL_TOKENS

VOCAB = 1000
NAMES = sorted(FRAGMENT_LANGUAGE_MODELS)
WITH_RANDOM_STARTS = {"mass", "loose", "masked"}  # an objective may also choose the same fragment in every epoch


def test_every_choice_of_the_configuration_is_a_language_model():
    (choices,) = (entry.metadata["choices"] for entry in fields(DatasetConfig) if entry.name == "language_model")
    assert tuple(FRAGMENT_LANGUAGE_MODELS) == choices
    assert all(issubclass(model, FragmentLanguageModel) for model in FRAGMENT_LANGUAGE_MODELS.values())
    with pytest.raises(UsageError, match="language_model"):
        config_from_dict({"dataset_config": {"language_model": "unknown"}})


def by_example(seed, count):
    return ExampleRandom(random_key(seed), np.arange(count))


def one_after_another(seed, _count):
    return np.random.default_rng(seed)


GENERATORS = pytest.mark.parametrize("generator", [by_example, one_after_another])


def sentences(count, longest, seed=0):
    """Return random padded sentences of 1 .. longest tokens, each ending with </s>, and their lengths."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, longest, count, endpoint=True)
    ids = generator.integers(len(SPECIAL_TOKENS), VOCAB, (count, longest)).astype(np.int32)
    ids[np.arange(count), lengths - 1] = EOS_INDEX
    ids[np.arange(longest) >= lengths[:, None]] = PAD_INDEX
    return ids, lengths


def fragments(name, ids, lengths, seed=1, generator=by_example, **options):
    return FRAGMENT_LANGUAGE_MODELS[name](VOCAB, **options)(ids, lengths, generator(seed, len(ids)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ratio", [0.1, 0.5, 1.0])
def test_decoder_predicts_one_stretch_of_the_sentence(name, ratio):
    ids, lengths = sentences(500, 20)
    found = fragments(name, ids, lengths, fragment_ratio=ratio)
    for row in range(len(ids)):
        count = np.count_nonzero(found.labels[row])
        k = min(max(round(ratio * lengths[row]), 1), lengths[row])
        positions = found.decoder_positions[row, :count]
        first = positions[0]
        np.testing.assert_array_equal(positions, np.arange(first, first + count))
        np.testing.assert_array_equal(found.labels[row, :count], ids[row, positions])
        assert not found.labels[row, count:].any() and not found.decoder_input_ids[row, count:].any()
        # The first input is <mask>, the others are the true tokens before each predicted token.
        assert found.decoder_input_ids[row, 0] == MASK_INDEX
        np.testing.assert_array_equal(found.decoder_input_ids[row, 1:count], ids[row, positions[:-1]])
        lead = count - k
        assert lead in ((0, 1) if name == "loose" else (0,))
        if lead == 0 and name == "loose":
            assert first == 0  # there is no token before a fragment at the start
        # Outside the fragment the encoder sees the sentence itself.
        outside = np.setdiff1d(np.arange(ids.shape[1]), positions[lead:])
        np.testing.assert_array_equal(found.source_ids[row, outside], ids[row, outside])


@pytest.mark.parametrize("name", NAMES)
def test_target_length_holds_every_fragment_and_no_more(name):
    for ratio in (0.1, 0.3, 0.5, 0.77, 1.0):
        model = FRAGMENT_LANGUAGE_MODELS[name](VOCAB, ratio)
        for longest in (1, 2, 5, 8, 31):
            ids = np.full((400, longest), 7, np.int32)
            lengths = np.resize(np.arange(1, longest + 1), 400)
            ids[np.arange(longest) >= lengths[:, None]] = PAD_INDEX
            labels = model(ids, lengths, np.random.default_rng(0)).labels
            assert labels.shape[1] == model.target_length(longest) == np.count_nonzero(labels, axis=1).max()


@pytest.mark.parametrize("name", NAMES)
def test_fixed_fragment_length(name):
    ids, lengths = sentences(200, 10)
    lead = name == "loose"
    assert np.count_nonzero(fragments(name, ids, lengths, fragment_length=1).labels, axis=1).max() == 1 + lead
    whole = fragments(name, ids, lengths, fragment_length=10)
    np.testing.assert_array_equal(np.count_nonzero(whole.labels, axis=1), lengths)


@GENERATORS
def test_mass_corrupts_80_10_10_with_independent_positions(generator):
    ids = np.full((4000, 12), 600, np.int32)
    found = fragments("mass", ids, np.full(4000, 12), generator=generator)
    in_fragment = np.zeros(ids.shape, bool)
    np.put_along_axis(in_fragment, found.decoder_positions, True, axis=1)
    seen = found.source_ids[in_fragment]
    masked, random = seen == MASK_INDEX, (seen != MASK_INDEX) & (seen != 600)
    assert masked.mean() == pytest.approx(0.8, abs=0.01)
    assert random.mean() == pytest.approx(0.1, abs=0.01)
    assert seen[random].min() >= len(SPECIAL_TOKENS) and seen[random].max() < VOCAB
    assert len(np.unique(seen[random])) > 0.8 * VOCAB
    # Neighbours are independent: both masked in 64% of the pairs.
    pairs = (found.source_ids == MASK_INDEX)[in_fragment].reshape(4000, 6)
    assert (pairs[:, 0] & pairs[:, 1]).mean() == pytest.approx(0.64, abs=0.03)


@pytest.mark.parametrize("name", ["masked", "loose"])
def test_the_others_mask_the_whole_fragment(name):
    ids, lengths = sentences(300, 15)
    found = fragments(name, ids, lengths)
    changed = found.source_ids != ids
    assert (found.source_ids[changed] == MASK_INDEX).all()
    wanted = FRAGMENT_LANGUAGE_MODELS[name](VOCAB).fragment_lengths(lengths)
    np.testing.assert_array_equal(changed.sum(axis=1), wanted)


@GENERATORS
def test_fragment_starts_are_uniform(generator):
    ids = np.full((9000, 6), 7, np.int32)
    starts = fragments("mass", ids, np.full(9000, 6), generator=generator).decoder_positions[:, 0]
    counts = np.bincount(starts, minlength=4)  # u in 0 .. 3
    assert len(counts) == 4 and np.abs(counts / 9000 - 0.25).max() < 0.02


@pytest.mark.parametrize("name", NAMES)
def test_draws_follow_the_generator_and_differ_between_epochs(name):
    ids, lengths = sentences(50, 20)
    one, same, other = (fragments(name, ids, lengths, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    if name in WITH_RANDOM_STARTS:
        assert not np.array_equal(one.labels, other.labels)


@pytest.mark.parametrize("name", NAMES)
def test_a_sentence_is_masked_alike_in_any_batch(name):
    """The other sentences of the batch, their order and the width of the arrays change nothing."""
    ids, lengths = sentences(60, 20)
    model, chosen = FRAGMENT_LANGUAGE_MODELS[name](VOCAB), np.array([41, 7, 33])
    wider = np.pad(ids[chosen], ((0, 0), (0, 9)))
    together = model(ids, lengths, by_example(1, 60))
    few = model(wider, lengths[chosen], ExampleRandom(random_key(1), chosen))
    for all_rows, rows in zip(together, few, strict=True):
        np.testing.assert_array_equal(np.pad(all_rows[chosen], ((0, 0), (0, rows.shape[1] - all_rows.shape[1]))), rows)


@pytest.mark.parametrize("name", NAMES)
def test_empty_rows_stay_empty(name):
    found = fragments(name, np.zeros((3, 8), np.int32), np.zeros(3, np.int64))
    assert not any(array.any() for array in (found.source_ids, found.labels, found.decoder_input_ids))


@GENERATORS
def test_noise_channel_masks_words_but_never_the_end(generator):
    ids, _ = sentences(3000, 10)
    noisy = NoiseChannelLanguageModel(0.3)(ids, generator(0, len(ids)))
    words = (ids != PAD_INDEX) & (ids != EOS_INDEX)
    assert (noisy[words] == MASK_INDEX).mean() == pytest.approx(0.3, abs=0.02)
    np.testing.assert_array_equal(noisy[~words], ids[~words])
    unchanged = noisy != MASK_INDEX
    np.testing.assert_array_equal(noisy[unchanged], ids[unchanged])
    np.testing.assert_array_equal(NoiseChannelLanguageModel(0.0)(ids, generator(0, len(ids))), ids)
    assert BOS_INDEX not in noisy


def test_an_objective_may_choose_the_fragment():
    """The last k tokens: the encoder reads the beginning of the sentence, the decoder continues it."""
    class Continuation(MassLanguageModel):
        def fragment_starts(self, lengths, fragment, generator):
            return lengths - fragment

    ids, lengths = sentences(200, 20)
    found = Continuation(VOCAB, 0.5)(ids, lengths, by_example(1, len(ids)))
    for row, length in enumerate(lengths):
        k = max(round(0.5 * length), 1)
        np.testing.assert_array_equal(found.decoder_positions[row, :k], np.arange(length - k, length))
        np.testing.assert_array_equal(found.source_ids[row, :length - k], ids[row, :length - k])
