"""What is answered and scored: examples of a test data set, or lines of text, in one form."""
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from config.config import Config
from src.checkpoints.find import ModelFiles
from src.common.errors import MassError, UsageError
from src.common.ragged import RaggedArray
from src.common.text_files import DecodedText
from src.dataset.batching.assembly import batch_source
from src.dataset.batching.batch import Shape
from src.dataset.batching.source import BatchSource
from src.dataset.example_loader import TokenIds
from src.dataset.records.info import RecordInfo
from src.dataset.records.record_set import RecordSet, load_records
from src.text.text_processing import ProcessedLines
from src.utils.byte_pair_encoding import join_subwords
from src.utils.dictionary import EOS_INDEX, Dictionary


@dataclass(frozen=True)
class Examples:
    """Examples for the network, and their text for people and for ROUGE: words, BPE joined."""

    records: RecordSet
    source_symbols: Callable[[int], list[str]]  # of example i, without </s>; a word of none in the vocabulary as it is
    texts: dict[str, Callable[[int], str]]  # by column: the words of example i
    names: tuple[str, ...]  # the files they are from

    def __len__(self) -> int:
        return len(self.records)

    @property
    def pairs(self) -> bool:
        return self.records.info.kind == "pairs"

    def batches(self, config: Config, shapes: Sequence[Shape] = ()) -> BatchSource:
        """One example a row, in batches of dataset_config.eval_batch_size; `shapes` as batch_source has them."""
        data = dataclasses.replace(config.dataset_config, batch_size=config.dataset_config.eval_batch_size,
                                   max_tokens=0, accumulate_batches=1, pack_sentences=False)
        return batch_source(self.records, dataclasses.replace(config, dataset_config=data), noisy=False, shapes=shapes)


def text_of(ids: np.ndarray | tuple[int, ...], vocabulary: Dictionary) -> str:
    """The text of ids, up to </s>, BPE joined."""
    return join_subwords(vocabulary.decode(ids))


def record_examples(records: RecordSet, vocabulary: Dictionary) -> Examples:
    """Records, whose words are those of the vocabulary."""

    def text(column: str) -> Callable[[int], str]:
        return lambda index: text_of(records.columns[column][index], vocabulary)

    source = records.columns[records.info.columns[0]]
    return Examples(records, lambda index: vocabulary.decode(source[index]),
                    {name: text(name) for name in records.info.columns}, records.paths)


def test_set(files: ModelFiles) -> Examples:
    """dataset_config.test_dataset.

    Raises:
        UsageError: it is not set.
        MassError: it is missing or damaged, or was made with another vocabulary.
    """
    if not files.config.dataset_config.test_dataset:
        raise UsageError("dataset_config.test_dataset is empty: set it to the records to evaluate on, or give --input")
    records = load_records(files.config.dataset_config.test_dataset, "dataset_config.test_dataset")
    vocabulary = files.vocabulary
    if records.info.vocabulary["fingerprint"] != vocabulary.fingerprint:
        own = Dictionary.load_from_persisted_dict(records.vocabulary_path)
        raise MassError(f"{records.paths[0]!r} was made with the vocabulary {records.vocabulary_path!r}, not with "
                        f"the model's {files.vocabulary_path!r}: {own.describe_difference(vocabulary)}")
    return record_examples(records, vocabulary)


class TextEncoder:
    """Lines of processed text as ids of a vocabulary."""

    def __init__(self, vocabulary: Dictionary):
        self._token_ids = TokenIds(vocabulary)

    def ids(self, lines: ProcessedLines) -> RaggedArray:
        """Each line ends with </s>; a line without words is </s> alone."""
        return self._token_ids.encode(DecodedText("".join(f"{line}\n" for line in lines.subwords), 0))


def text_examples(files: ModelFiles, names: tuple[str, ...], source: ProcessedLines, source_ids: RaggedArray,
                  target: ProcessedLines | None = None, target_ids: RaggedArray | None = None) -> Examples:
    """Lines and their ids, of at most seq_length symbols; without targets, all are empty. `names`: of their files."""
    if target_ids is None:
        target_ids = RaggedArray.from_lengths(np.full(len(source_ids), EOS_INDEX, np.int32),
                                              np.ones(len(source_ids), np.int64))
    columns = {"source": source_ids, "target": target_ids}
    lengths = {name: ids.lengths for name, ids in columns.items()}
    info = RecordInfo(
        kind="pairs", split="test", lines_read=len(source_ids), kept=len(source_ids), dropped={}, flawed={},
        max_len=files.config.model_config.seq_length, tokens={name: int(n.sum()) for name, n in lengths.items()},
        unknown={}, longest={name: int(n.max()) for name, n in lengths.items()}, checksums={},
        masking={"noise_prob": 0.0}, vocabulary=files.vocabulary_description)
    texts = {"source": source.words.__getitem__}
    if target is not None:
        texts["target"] = target.words.__getitem__
    return Examples(RecordSet(info, columns, names),
                    lambda index: list(filter(None, source.subwords[index].split(" "))), texts, names)
