"""From records and configuration to batches for the network."""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from config.config import Config, DatasetConfig
from src.common.errors import MassError, UsageError
from src.dataset.batching.batch import Collate, Shape, pair_collate, sentence_collate
from src.dataset.batching.buckets import choose_buckets, place
from src.dataset.batching.lengths import ExampleLengths, LengthHistogram
from src.dataset.batching.packing import RowPatterns, choose_rows, pack
from src.dataset.batching.plan import BatchPlan
from src.dataset.batching.source import BatchSource
from src.dataset.records.record_set import RecordSet
from src.language_model import FRAGMENT_LANGUAGE_MODELS, NoiseChannelLanguageModel


def batch_source(records: RecordSet, config: Config, noisy: bool = True, rank: int = 0, world_size: int = 1,
                 shapes: Sequence[Shape] = ()) -> BatchSource:
    """Batches of a record set of either kind.

    Args:
        noisy: False leaves out the noise on the source side of pairs.
        rank, world_size: which process this is, and of how many; each gets its own examples.
        shapes: those of another source, for example of the training data, to be used again if they hold all examples
            (each shape costs a compilation).

    Raises:
        UsageError: an example is longer than model_config.seq_length.
        MassError: there is no example.
    """
    if len(records) == 0:
        raise MassError(f"{records.paths[0]!r} holds no example")
    data, sentences = config.dataset_config, records.info.kind == "sentences"
    lengths, collate = (_sentences if sentences else _pairs)(records, config, noisy)
    micro_batches = data.accumulate_batches * world_size
    if data.pack_sentences:
        layout = _packed(lengths.histogram, data, micro_batches, shapes)
    else:
        layout = _one_a_row(lengths.histogram, config, micro_batches, shapes, held=1.0 if sentences else 0.98)
    plan = BatchPlan(lengths.grouped(layout.groups), layout.patterns, layout.shapes, config.model_config.random_seed)
    return BatchSource(plan, collate, lengths.tokens, data.accumulate_batches, rank, world_size)


class _Layout(NamedTuple):
    """Which examples go into which rows."""

    shapes: list[Shape]
    groups: np.ndarray  # [classes]: the group of each length class
    patterns: list[RowPatterns]  # of the rows of each shape


def _sentences(records: RecordSet, config: Config, _noisy: bool) -> tuple[ExampleLengths, Collate]:
    data, tokens = config.dataset_config, records.columns["tokens"]
    ratio = data.fragment_ratio or records.info.masking["fragment_ratio"]
    language_model = FRAGMENT_LANGUAGE_MODELS[data.language_model](records.info.vocabulary["size"], ratio)
    lengths = ExampleLengths([tokens], language_model.target_lengths)
    _check_lengths(records, ["tokens"], lengths, config)
    return lengths, sentence_collate(tokens, language_model, data.attend_to_masks)


def _pairs(records: RecordSet, config: Config, noisy: bool) -> tuple[ExampleLengths, Collate]:
    source, target = records.columns["source"], records.columns["target"]
    lengths = ExampleLengths([source, target])
    _check_lengths(records, ["source", "target"], lengths, config)
    noise = NoiseChannelLanguageModel(records.info.masking["noise_prob"] if noisy else 0.0)
    return lengths, pair_collate(source, target, noise, config.dataset_config.attend_to_masks)


def _packed(lengths: LengthHistogram, data: DatasetConfig, micro_batches: int, given: Sequence[Shape]) -> _Layout:
    """Several examples a row, one shape for all; each length class is a group."""
    groups = np.arange(len(lengths.counts))
    for shape in given:
        if _holds(shape, lengths):
            return _Layout([shape], groups, [pack(lengths, shape.source_len, shape.target_len)])
    source_len, target_len, patterns = choose_rows(lengths, data.max_tokens or None)
    count, examples = int(patterns.repeats.sum()), int(lengths.counts.sum())
    # Without max_tokens, as many rows as hold batch_size examples on average.
    rows = _rows_of_tokens(data, source_len, target_len) or max(1, round(data.batch_size * count / examples))
    return _Layout([Shape(_rows_needed(count, rows, micro_batches), source_len, target_len)], groups, [patterns])


def _one_a_row(lengths: LengthHistogram, config: Config, micro_batches: int, given: Sequence[Shape],
               held: float) -> _Layout:
    """One example a row and a few shapes, each with the group of the examples that it is the first to hold."""
    data, limit = config.dataset_config, config.model_config.seq_length
    buckets = [(shape.source_len, shape.target_len) for shape in given]
    reuse = bool(given) and _holds(given[-1], lengths)
    if not reuse:
        # Lengths are rounded up, but there are no positions beyond seq_length.
        buckets = [(min(source_len, limit), min(target_len, limit))
                   for source_len, target_len in choose_buckets(lengths, data.num_buckets, held)]
    used, groups = np.unique(place(lengths, buckets), return_inverse=True)
    groups = groups.reshape(-1)
    shapes, patterns = [], []
    for group, bucket in enumerate(used):
        count = int(lengths.counts[groups == group].sum())
        rows = _rows_of_tokens(data, *buckets[bucket]) or data.batch_size
        shapes.append(given[bucket] if reuse else Shape(_rows_needed(count, rows, micro_batches), *buckets[bucket]))
        patterns.append(RowPatterns(np.array([[group]]), np.array([count])))
    return _Layout(shapes, groups, patterns)


def _holds(shape: Shape, lengths: LengthHistogram) -> bool:
    return shape.source_len >= lengths.source.max() and shape.target_len >= lengths.target.max()


def _rows_of_tokens(data: DatasetConfig, source_len: int, target_len: int) -> int:
    """Rows that dataset_config.max_tokens allows, 0 if it is not set."""
    return max(1, data.max_tokens // max(source_len, target_len)) if data.max_tokens else 0


def _rows_needed(total: int, wanted: int, micro_batches: int) -> int:
    """Rows of a batch, at most `wanted`: no more than the plan puts into one when it splits all rows evenly."""
    steps = -(-total // (wanted * micro_batches))
    return -(-total // (steps * micro_batches))


def _check_lengths(records: RecordSet, columns: list[str], lengths: ExampleLengths, config: Config) -> None:
    limit = config.model_config.seq_length
    for column, longest in zip(columns, lengths.longest, strict=True):
        if longest > limit:
            raise UsageError(f"{records.paths[0]!r} holds a {column.rstrip('s')} sequence of {longest} symbols, but "
                             f"model_config.seq_length is {limit}: raise it (and max_position_embeddings), or make the "
                             f"records with --max_len {limit}")
