"""The training and validation data that a configuration names, checked, and their batches for this rank."""
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from config.config import Config
from src.checkpoints.compatibility import VocabularyUse, require_same_vocabulary
from src.checkpoints.find import find_text_processing
from src.checkpoints.training_state import DataIdentity
from src.common.errors import UsageError
from src.dataset.batching.factory import create_batch_source
from src.dataset.batching.source import BatchSource
from src.dataset.inspection import describe_batch
from src.dataset.records.record_set import RecordSet, load_records
from src.runtime.distributed import Ranks
from src.text.spelling import spelling_of
from src.text.text_processing import TextProcessing


@dataclass(frozen=True)
class TrainingData:
    """The data of a run; the two of validation are None if the run does not validate."""

    records: RecordSet
    source: BatchSource  # this rank's batches
    valid_records: RecordSet | None
    valid_source: BatchSource | None

    @property
    def identity(self) -> DataIdentity:
        """What a checkpoint stores to recognize the data."""
        source, valid = self.source, self.valid_source
        return DataIdentity(self.records.info.kind, len(source), source.tokens, source.steps_per_epoch,
                            source.accumulate * source.world_size, len(valid) if valid else 0,
                            valid.tokens if valid else 0)


def load_training_data(config: Config, ranks: Ranks) -> TrainingData:
    """Open the training and validation records and plan their batches.

    Raises:
        UsageError: the configuration does not say clearly what to train on, records are of the wrong kind, or an
            example is longer than model_config.seq_length.
        MassError: records are missing or damaged, or the validation records have another vocabulary.
    """
    records = _training_records(config)
    records.load_vocabulary()  # another file beside the records would only be noticed when the model is used
    valid_records = _validation_records(config, records)
    source = create_batch_source(records, config, rank=ranks.rank, world_size=ranks.world_size)
    valid_source = None
    if valid_records:
        data = dataclasses.replace(config.dataset_config, accumulate_batches=1)
        # Validation batches have the shapes of training batches if possible, because each shape is compiled.
        valid_source = create_batch_source(valid_records, dataclasses.replace(config, dataset_config=data), False,
                                           ranks.rank, ranks.world_size, source.plan.shapes)
    return TrainingData(records, source, valid_records, valid_source)


def describe_first_batch(config: Config, rows: int) -> Iterator[str]:
    """Yield lines that show the first training batch of one process; see `describe_batch`.

    Raises:
        UsageError, MassError: as `load_training_data`.
    """
    data = load_training_data(config, Ranks())
    vocabulary = data.records.load_vocabulary()
    first_step = next(data.source.steps(epoch=0))
    yield from describe_batch(first_step[0], vocabulary, rows)


def find_run_text_processing(config: Config, records: RecordSet, start: str) -> TextProcessing | None:
    """Find how raw text became the records: as the configuration says, or else as described beside the weights.

    Args:
        start: the weights that the run starts from, "" if they are new.

    Raises:
        UsageError: the vocabulary has subwords, but no codes are named.
        MassError: the codes or the description beside the weights are missing or damaged.
    """
    data = config.dataset_config
    known = find_text_processing(start) if start else None
    if not data.tokenizer:
        return known
    text = TextProcessing(data.tokenizer, data.bpe_codes, **spelling_of(data))
    if known and known.tokenizer == text.tokenizer:
        text = dataclasses.replace(text, rules=known.rules)
    text.require_codes(records.load_vocabulary(), "dataset_config.bpe_codes")
    text.check()
    return text


def _training_records(config: Config) -> RecordSet:
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


def _validation_records(config: Config, records: RecordSet) -> RecordSet | None:
    """Return the validation records, which match the training `records`; None if none are named."""
    if not config.dataset_config.valid_dataset:
        if config.training_config.patience or config.training_config.valid_rouge_sentences:
            raise UsageError("training_config.patience and valid_rouge_sentences need validation data: set "
                             "dataset_config.valid_dataset, or both to 0")
        return None
    valid = load_records(config.dataset_config.valid_dataset, "dataset_config.valid_dataset")
    require_same_vocabulary(VocabularyUse.of_records(records), VocabularyUse.of_records(valid),
                            "prepare both with the same vocabulary")
    if valid.info.kind != records.info.kind:
        raise UsageError(f"dataset_config.valid_dataset holds {valid.info.kind}, the training data "
                         f"{records.info.kind}: both must be of one kind")
    if config.training_config.valid_rouge_sentences and valid.info.kind != "pairs":
        raise UsageError("training_config.valid_rouge_sentences needs pairs, but the validation data holds sentences: "
                         "set it to 0 in pre-training")
    return valid
