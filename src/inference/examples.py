"""The examples that are predicted and scored, from records or from lines of text, in one form."""
import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from config.config import Config
from src.checkpoints.compatibility import VocabularyUse, require_same_vocabulary
from src.checkpoints.find import ModelFiles
from src.common.errors import UsageError
from src.common.ragged import RaggedArray
from src.dataset.batching.batch import Shape
from src.dataset.batching.factory import create_batch_source
from src.dataset.batching.source import BatchSource
from src.dataset.records.info import RecordInfo
from src.dataset.records.record_set import RecordSet, load_records
from src.text.text_processing import ProcessedLines
from src.utils.byte_pair_encoding import join_subwords
from src.utils.dictionary import EOS_INDEX, Dictionary

EXAMPLES_PER_SHAPE = 512
"""Scoring uses another batch shape for each so many examples: with fewer, compiling it takes longer than it saves."""


@dataclass(frozen=True)
class ExampleSet:
    """Token ids for the network, and the text of each example for the outputs and for the metrics."""

    records: RecordSet
    source_tokens: Callable[[int], list[str]]
    """Index of an example -> its source tokens without `</s>`; of raw text also tokens that the vocabulary lacks."""

    texts: dict[str, Callable[[int], str]]
    """Column -> (index of an example -> its words, BPE joined)."""

    scored_target: Callable[[int], str] | None
    """Index of a pair -> those words of its target that the network scores: a target may be truncated."""

    names: tuple[str, ...]
    """The files of the examples."""

    def __len__(self) -> int:
        return len(self.records)

    @property
    def pairs(self) -> bool:
        """Whether the examples are pairs of source and target."""
        return self.records.info.kind == "pairs"

    @property
    def digest(self) -> str:
        """The SHA-256 digest, in hexadecimal, of the texts of all examples and of how many tokens of them are read."""
        digest = hashlib.sha256()
        for column in self.records.info.columns:  # they tell whether texts were truncated, and where
            digest.update(np.asarray(self.records.columns[column].lengths, "<i8").tobytes())
        for index in range(len(self)):
            digest.update("".join(f"{text}\n" for text in self.text_of_example(index).values()).encode())
        return digest.hexdigest()

    def text_of_example(self, index: int) -> dict[str, str]:
        """Return the text of each column of an example."""
        return {column: text(index) for column, text in self.texts.items()}

    def batches(self, config: Config, shapes: Sequence[Shape] = (), rank: int = 0, world_size: int = 1) -> BatchSource:
        """Return batches of eval_batch_size rows with one example each; for the rest see create_batch_source."""
        data = dataclasses.replace(config.dataset_config, batch_size=config.dataset_config.eval_batch_size,
                                   max_tokens=0, accumulate_batches=1, pack_sentences=False)
        config = dataclasses.replace(config, dataset_config=data)
        return create_batch_source(self.records, config, False, rank, world_size, shapes)

    def scoring_batches(self, config: Config) -> BatchSource:
        """Return batches for teacher forcing: as `batches`, but with few shapes, because each is compiled."""
        data = config.dataset_config
        data = dataclasses.replace(data, num_buckets=min(data.num_buckets, 1 + len(self) // EXAMPLES_PER_SHAPE))
        return self.batches(dataclasses.replace(config, dataset_config=data))


def text_of_ids(ids: np.ndarray | tuple[int, ...], vocabulary: Dictionary) -> str:
    """Return the text of token ids up to `</s>`, BPE joined."""
    return join_subwords(vocabulary.decode(ids))


def examples_of_records(records: RecordSet, vocabulary: Dictionary) -> ExampleSet:
    """Return the examples of a data set; their text is decoded from the ids."""

    def tokens(column: str) -> Callable[[int], list[str]]:
        ids, continued = records.columns[column], records.info.continued_positions(column)
        return lambda index: vocabulary.decode(ids[index], continued.get(index, ()))

    def text(column: str) -> Callable[[int], str]:
        tokens_of_example = tokens(column)
        return lambda index: join_subwords(tokens_of_example(index))

    texts = {name: text(name) for name in records.info.columns}
    return ExampleSet(records, tokens(records.info.columns[0]), texts, texts.get("target"), records.paths)


def load_test_set(files: ModelFiles) -> ExampleSet:
    """Load dataset_config.test_dataset.

    Raises:
        UsageError: the key is not set.
        MassError: the records are missing or damaged, or were made with another vocabulary.
    """
    if not files.config.dataset_config.test_dataset:
        raise UsageError("dataset_config.test_dataset is empty: set it to the records to evaluate on, or give --input")
    records = load_records(files.config.dataset_config.test_dataset, "dataset_config.test_dataset")
    require_same_vocabulary(VocabularyUse.of_records(records), files.vocabulary_use,
                            "prepare the data with the model's vocabulary")
    return examples_of_records(records, files.vocabulary)


def examples_of_text(files: ModelFiles, names: tuple[str, ...], source: ProcessedLines, source_ids: RaggedArray,
                     target: ProcessedLines | None = None, target_ids: RaggedArray | None = None) -> ExampleSet:
    """Return lines of text as pairs; without targets, every target is empty.

    Args:
        names: the files of the lines.
        source_ids: token ids of each line, which end with `</s>`, at most model_config.seq_length.
    """
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
    if target is None:
        scored_target = None
    else:
        texts["target"] = target.words.__getitem__
        kept = target_ids.lengths - 1

        def scored_target(index: int) -> str:
            return join_subwords(_tokens(target.subwords[index])[: kept[index]])

    return ExampleSet(RecordSet(info, columns, names), lambda index: _tokens(source.subwords[index]), texts,
                      scored_target, names)


def _tokens(line: str) -> list[str]:
    """Return the tokens of a line of subwords that have an id: all but white space, see TokenIds."""
    return [token for token in line.split(" ") if token and not token.isspace()]
