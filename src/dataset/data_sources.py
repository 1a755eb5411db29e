"""From records and configuration to batches for the network."""
import dataclasses

import numpy as np

from config.config import Config
from src.dataset.batch import Shape, pair_collate, sentence_collate
from src.dataset.batch_plan import BatchPlan, BatchSource
from src.dataset.buckets import choose_lengths, pair_lengths, place
from src.dataset.records import RecordSet
from src.language_model import FRAGMENT_LANGUAGE_MODELS, NoiseChannelLanguageModel
from src.utils.errors import MassError, UsageError


def with_vocabulary_size(config: Config, records: RecordSet) -> Config:
    """The configuration with `vocab_size` 0 replaced by that of the records; another size is an error."""
    size = records.info.vocabulary["size"]
    if config.model_config.vocab_size not in (0, size):
        raise UsageError(f"model_config.vocab_size is {config.model_config.vocab_size}, but {records.paths[0]!r} was "
                         f"made with the {size} symbols of {records.vocabulary_path!r}: set it to {size}, or to 0")
    return dataclasses.replace(config, model_config=dataclasses.replace(config.model_config, vocab_size=size))


def require_same_vocabulary(one: RecordSet, other: RecordSet) -> None:
    """Raise a MassError unless both sets are in the same vocabulary."""
    if one.info.vocabulary["fingerprint"] != other.info.vocabulary["fingerprint"]:
        raise MassError(f"{one.paths[0]!r} is in the vocabulary {one.vocabulary_path!r} "
                        f"({one.info.vocabulary['size']} symbols), {other.paths[0]!r} in {other.vocabulary_path!r} "
                        f"({other.info.vocabulary['size']}): make both with the same one")


def batch_source(records: RecordSet, config: Config, noisy: bool = True) -> BatchSource:
    """Batches of a record set of either kind; `noisy=False` leaves out the noise on the source side of pairs."""
    if len(records) == 0:
        raise MassError(f"{records.paths[0]!r} holds no example")
    if records.info.kind == "sentences":
        return _sentence_source(records, config)
    return _pair_source(records, config, noisy)


def _sentence_source(records: RecordSet, config: Config) -> BatchSource:
    data = config.dataset_config
    tokens = records.columns["tokens"]
    lengths = _checked_lengths(records, "tokens", config)
    ratio = data.fragment_ratio or records.info.masking["fragment_ratio"]
    language_model = FRAGMENT_LANGUAGE_MODELS[data.language_model](records.info.vocabulary["size"], ratio)
    shapes = [_shape(length, language_model.target_length(length), config)
              for length in choose_lengths(lengths, data.num_buckets)]
    targets = np.minimum(language_model.fragment_lengths(lengths) + language_model.lead, lengths)
    collate = sentence_collate(tokens, language_model, data.attend_to_masks)
    return _source(lengths, targets, shapes, collate, config)


def _pair_source(records: RecordSet, config: Config, noisy: bool) -> BatchSource:
    data = config.dataset_config
    source, target = _checked_lengths(records, "source", config), _checked_lengths(records, "target", config)
    shapes = [_shape(*pair, config) for pair in pair_lengths(source, target, data.num_buckets)]
    noise = NoiseChannelLanguageModel(records.info.masking["noise_prob"] if noisy else 0.0)
    collate = pair_collate(records.columns["source"], records.columns["target"], noise, data.attend_to_masks)
    return _source(source, target, shapes, collate, config)


def _source(source: np.ndarray, target: np.ndarray, shapes: list[Shape], collate, config: Config) -> BatchSource:
    placed = place(source, target, shapes)
    counts = np.bincount(placed, minlength=len(shapes))
    shapes = [shape._replace(rows=max(1, min(shape.rows, int(count))))
              for shape, count in zip(shapes, counts, strict=True)]
    return BatchSource(BatchPlan(placed, shapes, config.model_config.random_seed), collate, source, target)


def _shape(source_len: int, target_len: int, config: Config) -> Shape:
    data = config.dataset_config
    rows = max(1, data.max_tokens // max(source_len, target_len)) if data.max_tokens else data.batch_size
    limit = config.model_config.seq_length  # lengths are rounded up, but there are no positions beyond this one
    return Shape(rows, min(source_len, limit), min(target_len, limit))


def _checked_lengths(records: RecordSet, column: str, config: Config) -> np.ndarray:
    lengths = records.columns[column].lengths
    longest, limit = int(lengths.max()), config.model_config.seq_length
    if longest > limit:
        raise UsageError(f"{records.paths[0]!r} holds a {column.rstrip('s')} sequence of {longest} symbols, but "
                         f"model_config.seq_length is {limit}: raise it (and max_position_embeddings), or make the "
                         f"records with --max_len {limit}")
    return lengths
