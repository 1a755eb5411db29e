"""The work of both engines: the same sentences in two layouts, several per row and one per row."""
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from config.config import Config, DatasetConfig, LearnRateConfig, ModelConfig
from src.common.ragged import RaggedArray
from src.dataset.batching.batch import Batch
from src.dataset.batching.factory import create_batch_source
from src.dataset.records.info import RecordInfo
from src.dataset.records.record_set import RecordSet

LONGEST = 64  # tokens of a sentence, including </s>
TASKS = ("pre-training", "fine-tuning")


class Size(NamedTuple):
    """The dimensions of the network and of a batch."""

    hidden: int
    layers: int  # of the encoder, and of the decoder
    heads: int
    intermediate: int
    vocabulary: int
    positions: int  # in the longer side of a batch

    def model(self, compute_type: str = "auto") -> ModelConfig:
        """Return the configuration of the network, with dropout 0.1 everywhere."""
        return ModelConfig(vocab_size=self.vocabulary, hidden_size=self.hidden, num_hidden_layers=self.layers,
                           num_attention_heads=self.heads, intermediate_size=self.intermediate,
                           hidden_dropout_prob=0.1, attention_dropout_prob=0.1, label_smoothing=0.1,
                           compute_type=compute_type, seq_length=LONGEST, max_position_embeddings=LONGEST)


SIZES = {"small": Size(256, 3, 4, 1024, 10_000, 1792), "base": Size(512, 6, 8, 2048, 30_000, 1024)}


class Training(NamedTuple):
    """The settings of an engine."""

    model: ModelConfig
    learn_rate: LearnRateConfig  # lr is constant
    operators: str  # of our network: "c" (the C kernels) or "mindspore" (MindSpore's)
    peer_type: str = "float32"  # number format of the peer: float32, or bfloat16 autocast; ours is in the model
    compile_cache: str = ""  # folder of MindSpore's compile cache; "": none


class Workload(NamedTuple):
    """The same sentences three times, in the same number of steps, with the same fragments and masks."""

    packed: list[Batch]  # as in training: several sentences per row, all batches of one shape
    mixed: list[Batch]  # the sentences of each packed batch, one per row, padded to the longest of the batch
    grouped: list[Batch]  # also one per row; sentences of similar length, and the same number of tokens in each batch


class Example(NamedTuple):
    """One sentence or pair as the network receives it; each array is [tokens] int32."""

    source_ids: np.ndarray
    source_mask: np.ndarray
    decoder_input_ids: np.ndarray
    decoder_positions: np.ndarray
    labels: np.ndarray

    @property
    def tokens(self) -> int:
        """The number of source and target tokens."""
        return len(self.source_ids) + len(self.labels)


def plan_workload(columns: dict[str, RaggedArray], size: Size, steps: int, seed: int) -> Workload:
    """Plan batches of sentences ({"tokens": ...}) or pairs ({"source": ..., "target": ...}) as train.py does."""
    config = Config(dataset_config=DatasetConfig(max_tokens=size.positions), model_config=size.model())
    source = create_batch_source(_record_set(columns, size.vocabulary), config)
    batches = itertools.chain.from_iterable(source.steps(epoch) for epoch in itertools.count())
    packed = [batch for (batch,) in itertools.islice(batches, steps)]
    examples = [unpack(batch) for batch in packed]
    return Workload(packed, [one_per_row(part) for part in examples],
                    [one_per_row(part) for part in group_by_length(list(itertools.chain(*examples)), steps, seed)])


def unpack(batch: Batch) -> list[Example]:
    """Return the examples of a batch, row by row."""
    examples = []
    for row in range(len(batch.source_ids)):
        for segment in range(1, int(batch.source_segments[row].max()) + 1):
            source, target = batch.source_segments[row] == segment, batch.decoder_segments[row] == segment
            examples.append(Example(batch.source_ids[row, source], batch.source_mask[row, source],
                                    batch.decoder_input_ids[row, target], batch.decoder_positions[row, target],
                                    batch.labels[row, target]))
    return examples


def one_per_row(examples: Sequence[Example]) -> Batch:
    """Return a batch with one example per row, each side padded to its longest."""
    source_ids, source_mask, decoder_input_ids, decoder_positions, labels = (
        _padded([example[field] for example in examples]) for field in range(len(Example._fields)))
    positions = _padded([np.arange(len(example.source_ids)) for example in examples])
    return Batch(source_ids, positions, (source_ids != 0).astype(np.int32), source_mask, decoder_input_ids,
                 decoder_positions, (labels != 0).astype(np.int32), labels)


def group_by_length(examples: list[Example], batches: int, seed: int) -> list[list[Example]]:
    """Sort examples by length and divide them into batches of about the same number of tokens, in random order."""
    examples = sorted(examples, key=lambda example: (len(example.source_ids), len(example.labels)))
    ends = np.cumsum([example.tokens for example in examples])
    numbers = (ends - 1) * batches // ends[-1]
    parts = [[example for example, number in zip(examples, numbers, strict=True) if number == batch]
             for batch in range(batches)]
    return [parts[batch] for batch in np.random.default_rng(seed).permutation(batches)]


def padding(batches: Sequence[Batch]) -> float:
    """Return the share of padding among all positions, source and target."""
    return 1.0 - sum(batch.tokens for batch in batches) / sum(batch.source_ids.size + batch.labels.size
                                                              for batch in batches)


def _padded(sequences: Sequence[np.ndarray]) -> np.ndarray:
    return RaggedArray.from_sequences(sequences).padded(np.arange(len(sequences)), max(map(len, sequences)))


def _record_set(columns: dict[str, RaggedArray], vocabulary_size: int) -> RecordSet:
    """Return records that were never written to a file; only what planning needs is filled in."""
    kind = "sentences" if "tokens" in columns else "pairs"
    count = len(next(iter(columns.values())))
    info = RecordInfo(kind=kind, split="train", lines_read=count, kept=count, dropped={}, flawed={}, max_len=LONGEST,
                      tokens={}, unknown={}, longest={}, checksums={},
                      masking={"fragment_ratio": 0.5} if kind == "sentences" else {"noise_prob": 0.0},
                      vocabulary={"file": "", "size": vocabulary_size, "fingerprint": ""})
    return RecordSet(info, columns, ("text of the benchmark",))
