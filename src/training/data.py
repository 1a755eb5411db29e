"""The records a configuration names for training and validation, checked, and their batches for this rank."""
import dataclasses
from collections.abc import Sequence

from config.config import Config
from src.checkpoints.find import find_text_processing
from src.checkpoints.training_state import DataIdentity
from src.common.errors import UsageError
from src.dataset.batching.assembly import batch_source, require_same_vocabulary
from src.dataset.batching.batch import Shape
from src.dataset.batching.source import BatchSource
from src.dataset.records.record_set import RecordSet, load_records
from src.runtime.distributed import Ranks
from src.text.text_processing import TextProcessing
from src.utils.dictionary import Dictionary


def training_records(config: Config) -> RecordSet:
    """What there is to train on.

    Raises:
        UsageError: it is not clear which, or is not of the kind the key names.
    """
    data = config.dataset_config
    if bool(data.pre_train_dataset) == bool(data.fine_tune_dataset):
        found = "both are set" if data.pre_train_dataset else "neither is set"
        raise UsageError(f"dataset_config: exactly one of pre_train_dataset and fine_tune_dataset must be set to "
                         f"train; {found}")
    name, kind = (("pre_train_dataset", "sentences") if data.pre_train_dataset else ("fine_tune_dataset", "pairs"))
    records = load_records(getattr(data, name), f"dataset_config.{name}")
    if records.info.kind != kind:
        raise UsageError(f"dataset_config.{name} is {getattr(data, name)!r}, which holds {records.info.kind}: "
                         f"it must hold {kind}")
    return records


def validation_records(config: Config, records: RecordSet) -> RecordSet | None:
    """What to validate on, None if nothing is named; it is of the kind and vocabulary of the training `records`."""
    if not config.dataset_config.valid_dataset:
        if config.training_config.patience or config.training_config.valid_rouge_sentences:
            raise UsageError("training_config.patience and valid_rouge_sentences need validation data: set "
                             "dataset_config.valid_dataset, or both to 0")
        return None
    valid = load_records(config.dataset_config.valid_dataset, "dataset_config.valid_dataset")
    require_same_vocabulary(records, valid)
    if valid.info.kind != records.info.kind:
        raise UsageError(f"dataset_config.valid_dataset holds {valid.info.kind}, the training data "
                         f"{records.info.kind}: both must be of one kind")
    if config.training_config.valid_rouge_sentences and valid.info.kind != "pairs":
        raise UsageError("training_config.valid_rouge_sentences answers pairs, but the data holds sentences: set it to "
                         "0 in pre-training")
    return valid


def text_processing(config: Config, records: RecordSet, start: str) -> TextProcessing | None:
    """How raw text became the records, as the configuration says, or else what stands beside the weights `start`.

    Raises:
        UsageError: the vocabulary is of subwords, and no codes are named.
        MassError: the codes, or what stands beside the weights, are missing or damaged.
    """
    data = config.dataset_config
    if not data.tokenizer:
        return find_text_processing(start) if start else None
    text = TextProcessing(data.tokenizer, data.lower_case, data.digits_to_hash, data.bpe_codes)
    text.require_codes(Dictionary.load_from_persisted_dict(records.vocabulary_path), "dataset_config.bpe_codes")
    text.check()
    return text


def training_source(records: RecordSet, config: Config, ranks: Ranks) -> BatchSource:
    """The batches of this rank."""
    return batch_source(records, config, rank=ranks.rank, world_size=ranks.world_size)


def validation_source(records: RecordSet | None, config: Config, ranks: Ranks, shapes: Sequence[Shape]) \
        -> BatchSource | None:
    """This rank's share of the validation data, in the `shapes` of training if they hold it."""
    if records is None:
        return None
    alone = dataclasses.replace(config.dataset_config, accumulate_batches=1)
    return batch_source(records, dataclasses.replace(config, dataset_config=alone), False, ranks.rank,
                        ranks.world_size, shapes)


def identify(kind: str, source: BatchSource, valid_source: BatchSource | None) -> DataIdentity:
    """What a checkpoint keeps of the data, to recognize it."""
    return DataIdentity(kind, len(source), source.tokens, source.steps_per_epoch, source.accumulate * source.world_size,
                        len(valid_source) if valid_source else 0, valid_source.tokens if valid_source else 0)
