"""Shows the first examples of a data set (--inspect of the data set scripts), or the rows of a batch, as text."""
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from config.config import DatasetConfig
from src.common.arguments import CommandLineParser
from src.common.errors import UsageError
from src.common.text_table import table_lines
from src.dataset.batching.batch import Batch
from src.dataset.records.record_set import RecordSet, load_records
from src.language_model import FRAGMENT_LANGUAGE_MODELS, NoiseChannelLanguageModel
from src.utils.byte_pair_encoding import join_subwords
from src.utils.dictionary import BOS_INDEX, Dictionary


def inspection_flags() -> ArgumentParser:
    """Return a parser of --inspect and --count, to be a parent of the parser of a script."""
    parser = CommandLineParser(add_help=False, allow_abbrev=False)
    group = parser.add_argument_group("inspection", "show a data set instead of making one; no other flag is needed")
    group.add_argument("--inspect", metavar="FILE",
                       help="print the first examples of a data set (a record file or a folder) as text, with a "
                            "newly drawn mask for pre-training")
    group.add_argument("--count", metavar="N", type=int, default=5, help="number of examples to print")
    return parser


def inspect_if_asked(arguments: Sequence[str] | None = None) -> bool:
    """Print the examples that --inspect on the command line asks for, and return whether it was given.

    Raises:
        UsageError: the count is below 1.
        MassError: the records cannot be read; see `load_records`.
    """
    asked, _ = inspection_flags().parse_known_args(arguments)
    if asked.inspect is None:
        return False
    if asked.count < 1:
        raise UsageError(f"--count {asked.count}: give 1 example or more")
    for text in inspect_records(asked.inspect, asked.count, np.random.default_rng()):
        sys.stdout.write(text + "\n")
    return True


def inspect_records(spec: str, count: int, generator: np.random.Generator) -> Iterator[str]:
    """Yield a line about a data set, and then its first `count` examples, a few lines of text each.

    Args:
        spec: see `load_records`.
        count: the number of examples.
        generator: draws the masks; they differ from call to call, as they do from epoch to epoch in training.
    """
    records = load_records(spec, "--inspect")
    vocabulary = records.load_vocabulary()
    (masking,) = records.info.masking.items()
    yield (f"{spec}: {records.info.kept:,} {records.info.kind} ({records.info.split}), "
           f"{masking[0]} {masking[1]}, vocabulary of {len(vocabulary):,} tokens")
    describe = _sentence if records.info.kind == "sentences" else _pair
    for index in islice(range(len(records)), count):
        yield f"\n{index}\n" + "\n".join(describe(records, index, vocabulary, generator))


def _sentence(records: RecordSet, index: int, vocabulary: Dictionary, generator: np.random.Generator) -> Iterator[str]:
    """Yield a sentence and, below each of its tokens, what the network gets with a newly drawn mask."""
    ids = records.columns["tokens"][index]
    ratio = records.info.masking["fragment_ratio"]
    model = FRAGMENT_LANGUAGE_MODELS[DatasetConfig().language_model](len(vocabulary), ratio)
    source, inputs, positions, labels = (row[0] for row in model(ids[None], np.array([len(ids)]), generator))
    shown = positions[np.flatnonzero(labels)]
    rows = {"tokens": _tokens(ids, vocabulary), "encoder input": _tokens(source, vocabulary)}
    for name, row in (("decoder input", inputs), ("predicted", labels)):
        cells = [""] * len(ids)
        for position, token in zip(shown, _tokens(row[: len(shown)], vocabulary), strict=True):
            cells[position] = token
        rows[name] = cells
    yield f"  text           {join_subwords(vocabulary.decode(ids))}"
    yield from table_lines({"position": [str(position) for position in range(len(ids))], **rows})


def _pair(records: RecordSet, index: int, vocabulary: Dictionary, generator: np.random.Generator) -> Iterator[str]:
    """Yield the source and target of a pair as words and as the network gets them, with newly drawn noise if any."""
    source, target = records.columns["source"][index], records.columns["target"][index]
    noisy = NoiseChannelLanguageModel(records.info.masking["noise_prob"])(source[None], generator)[0]
    inputs = np.concatenate([[BOS_INDEX], target[:-1]])
    for side in records.info.columns:
        continued = records.info.continued_positions(side).get(index, ())
        text = join_subwords(vocabulary.decode(records.columns[side][index], continued))
        yield f"  {side:<14} {text}"
    for name, ids in (("encoder input", noisy), ("decoder input", inputs), ("predicted", target)):
        yield f"  {name:<14} {' '.join(_tokens(ids, vocabulary))}"


def _tokens(ids: np.ndarray, vocabulary: Dictionary) -> list[str]:
    return [vocabulary[index] for index in ids]


def describe_batch(batch: Batch, vocabulary: Dictionary, rows: int) -> Iterator[str]:
    """Yield the first rows of a batch as the network receives them: each array on a line of its own, with the tokens.

    Padding at the end of a row is left out and counted.
    """
    count, source_len = batch.source_ids.shape
    yield f"a batch of {count} rows x ({source_len} source + {batch.labels.shape[1]} target) positions, " \
          f"{batch.tokens} tokens"
    for row in range(min(rows, count)):
        examples = int(batch.source_segments[row].max())
        yield f"\nrow {row}: {examples} example{'s' * (examples != 1)}"
        arrays = {name: array[row] for name, array in batch._asdict().items()}
        yield from _batch_side(arrays, "source_segments", {"source_ids": "encoder input"}, vocabulary)
        yield ""
        yield from _batch_side(arrays, "decoder_segments",
                               {"decoder_input_ids": "decoder input", "labels": "label"}, vocabulary)


def _batch_side(arrays: dict[str, np.ndarray], segments: str, tokens: dict[str, str],
                vocabulary: Dictionary) -> Iterator[str]:
    """Yield the lines of one side of a row.

    Args:
        arrays: the row of each array of the batch.
        segments: the name of the side's segment array, which is 0 in the padding.
        tokens: the arrays whose ids are shown as tokens too: name of the array -> heading of the tokens.
        vocabulary: turns ids into tokens.
    """
    side = segments.partition("_")[0]
    present = np.count_nonzero(arrays[segments])
    cells = {}
    for name, array in arrays.items():
        if name.startswith(side) or name in tokens:
            cells[name] = list(map(str, array[:present]))
            if name in tokens:
                cells[tokens[name]] = [vocabulary[index] for index in array[:present]]
    yield from table_lines(cells)
    padding = len(arrays[segments]) - present
    if padding:
        yield f"  and {padding} position{'s' * (padding > 1)} of padding"
