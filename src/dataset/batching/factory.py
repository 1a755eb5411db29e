"""The batch source for a record set and a configuration."""
from collections.abc import Sequence

from config.config import Config
from src.common.errors import MassError, UsageError
from src.dataset.batching.batch import Shape
from src.dataset.batching.collate import Collate, pair_collate, sentence_collate
from src.dataset.batching.layout import bucket_layout, packed_layout
from src.dataset.batching.lengths import ExampleLengths
from src.dataset.batching.plan import BatchPlan
from src.dataset.batching.source import BatchSource
from src.dataset.records.record_set import RecordSet
from src.language_model import FRAGMENT_LANGUAGE_MODELS, NoiseChannelLanguageModel

_TARGET_SHARE = 0.98  # of the targets in a bucket that its target length holds; longer ones go to a later bucket


def create_batch_source(records: RecordSet, config: Config, noisy: bool = True, rank: int = 0, world_size: int = 1,
                        shapes: Sequence[Shape] = ()) -> BatchSource:
    """Create the batches of a record set of either kind.

    Args:
        records: sentences for pre-training or pairs.
        config: determines how the batches are made.
        noisy: whether the source side of pairs is masked with the noise probability of the records.
        rank, world_size: the number of this process and of all processes; each process gets its own examples.
        shapes: the shapes of another source, usually of the training data. They are used again if they hold all
            examples, because each further shape has to be compiled.

    Raises:
        UsageError: an example is longer than model_config.seq_length.
        MassError: the record set is empty.
    """
    if len(records) == 0:
        raise MassError(f"{records.paths[0]!r} holds no example")
    data, sentences = config.dataset_config, records.info.kind == "sentences"
    lengths, collate = _sentences(records, config) if sentences else _pairs(records, config, noisy)
    micro_batches = data.accumulate_batches * world_size
    if data.pack_sentences:
        layout = packed_layout(lengths.histogram, data, micro_batches, shapes)
    else:
        # The target length of a sentence follows from its source length, so that no target needs a later bucket.
        layout = bucket_layout(lengths.histogram, config, micro_batches, shapes, 1.0 if sentences else _TARGET_SHARE)
    plan = BatchPlan(lengths.grouped(layout.groups), layout.patterns, layout.shapes, config.model_config.random_seed)
    return BatchSource(plan, collate, lengths.tokens, data.accumulate_batches, rank, world_size)


def _sentences(records: RecordSet, config: Config) -> tuple[ExampleLengths, Collate]:
    data, tokens = config.dataset_config, records.columns["tokens"]
    ratio = data.fragment_ratio or records.info.masking["fragment_ratio"]
    language_model = FRAGMENT_LANGUAGE_MODELS[data.language_model](records.info.vocabulary["size"], ratio)
    _check_lengths(records, config)
    lengths = ExampleLengths([tokens], language_model.target_lengths)
    return lengths, sentence_collate(tokens, language_model, data.attend_to_masks)


def _pairs(records: RecordSet, config: Config, noisy: bool) -> tuple[ExampleLengths, Collate]:
    source, target = records.columns["source"], records.columns["target"]
    _check_lengths(records, config)  # first, as ExampleLengths counts each pair of lengths up to the longest ones
    lengths = ExampleLengths([source, target])
    noise = NoiseChannelLanguageModel(records.info.masking["noise_prob"] if noisy else 0.0)
    return lengths, pair_collate(source, target, noise, config.dataset_config.attend_to_masks)


def _check_lengths(records: RecordSet, config: Config) -> None:
    limit = config.model_config.seq_length
    for name, column in records.columns.items():
        if (longest := column.lengths.max()) > limit:
            raise UsageError(f"{records.paths[0]!r} holds a {name.rstrip('s')} sequence of {longest} tokens, but "
                             f"model_config.seq_length is {limit}: raise it (and max_position_embeddings), or make the "
                             f"records with --max_len {limit}")
