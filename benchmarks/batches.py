"""Compare packed batches and batches by buckets on real records: padding, planning time, and time to make a batch.

    python benchmarks/batches.py --records FOLDER --config config/news_small.json [--step_seconds 0.8] [--copies 700]

Times are medians over alternating rounds of the same number of batches. With `--step_seconds` (the time of a training
step with the same configuration, from the training log), they are also printed as a share of a step. With `--copies N`,
a data set of N times the size is planned too, from lengths alone, to show how time and memory grow with the corpus.
"""
import argparse
import math
import os
import statistics
import sys
import time
import tracemalloc

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from config import load_config  # noqa: E402
from config.config import Config  # noqa: E402
from src.common.ragged import RaggedArray  # noqa: E402
from src.dataset.batching.batch import Shape  # noqa: E402
from src.dataset.batching.factory import create_batch_source  # noqa: E402
from src.dataset.batching.lengths import ExampleLengths  # noqa: E402
from src.dataset.batching.packing import choose_rows  # noqa: E402
from src.dataset.batching.plan import BatchPlan  # noqa: E402
from src.dataset.batching.source import BatchSource  # noqa: E402
from src.dataset.records.record_set import RecordSet, load_records  # noqa: E402


def layouts(records: RecordSet, arguments: argparse.Namespace) -> dict[str, BatchSource]:
    """Return batch sources for the same examples in several layouts, by name, and print how long planning each took."""
    found = {}

    def add(name: str, overrides: list[str], shapes: list[Shape] | None = None) -> None:
        config = load_config(arguments.config, arguments.set + [f"dataset_config.{key}" for key in overrides])
        start = time.perf_counter()
        found[name] = create_batch_source(records, config, shapes=shapes or [])
        print(f"{name:<20}planned in {time.perf_counter() - start:.3f} s")

    add("packed", [])
    chosen, longest = found["packed"].plan.shapes[0], [int(column.lengths.max()) for column in records.columns.values()]
    for factor in (1.0, 1.5, 2.0, 3.0):
        source_len = math.ceil(factor * longest[0])
        target_len = max(math.ceil(source_len * chosen.target_len / chosen.source_len), *longest[1:], 1)
        shape = Shape(max(1, chosen.rows * chosen.source_len // source_len), source_len, target_len)
        add(f"packed, rows of {source_len}", [], [shape])
    for buckets in (1, 3, 5):
        add(f"{buckets} bucket{'s' * (buckets > 1)}", ["pack_sentences=false", f"num_buckets={buckets}"])
    return found


def time_batches(sources: dict[str, BatchSource], batches: int, rounds: int) -> dict[str, float]:
    """Return the median time in milliseconds to read, mask and pad the batches of one step, by layout."""
    times = {name: [] for name in sources}
    for number in range(rounds):
        for name, source in sources.items():
            steps = source.steps(number)
            start = time.perf_counter()
            made = sum(1 for _ in zip(range(batches), steps, strict=False))
            times[name].append(1e3 * (time.perf_counter() - start) / made)
    return {name: statistics.median(values) for name, values in times.items()}


def plan_copies(records: RecordSet, config: Config, copies: int) -> None:
    """Plan a data set of `copies` times the size, from lengths alone, and print the time and memory that it takes."""
    columns = [RaggedArray(np.zeros(0, np.uint16), np.zeros(copies * len(records) + 1, np.uint8),
                           np.tile(column.lengths.astype(np.int32), copies)) for column in records.columns.values()]
    target = None if len(columns) == 2 else lambda lengths: np.maximum(1, lengths // 2)
    tracemalloc.start()
    start = time.perf_counter()
    lengths = ExampleLengths(columns, target)
    source_len, target_len, patterns = choose_rows(lengths.histogram)
    plan = BatchPlan(lengths.grouped(np.arange(len(lengths.histogram.counts))), [patterns],
                     [Shape(48, source_len, target_len)], seed=1)
    planned = time.perf_counter() - start
    examples, peak = len(columns[0]), tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    start = time.perf_counter()
    for step in range(100):
        plan.step(step, 1, epoch=0)
    print(f"{examples:,} examples: planned in {planned:.1f} s with {peak / examples:.1f} bytes an example; "
          f"then {(time.perf_counter() - start) * 10:.1f} ms for the indices of a step")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", required=True, help="file, glob or folder of records")
    parser.add_argument("--config", required=True, help="configuration file (.json)")
    parser.add_argument("--set", action="append", default=[], metavar="NODE.KEY=VALUE",
                        help="override a configuration key")
    parser.add_argument("--batches", type=int, default=50, help="batches in each round")
    parser.add_argument("--rounds", type=int, default=5, help="number of alternating rounds")
    parser.add_argument("--step_seconds", type=float, help="time of a training step in seconds")
    parser.add_argument("--copies", type=int, help="also plan a data set of this many times the size")
    arguments = parser.parse_args()
    records = load_records(arguments.records)
    sources = layouts(records, arguments)
    times = time_batches(sources, arguments.batches, arguments.rounds)
    for name, source in sources.items():
        shapes = " ".join(f"{shape.rows}x({shape.source_len}+{shape.target_len})" for shape in source.plan.shapes)
        share = f", {times[name] / arguments.step_seconds / 10:.1f}% of a step" if arguments.step_seconds else ""
        print(f"{name:<20}padding {source.padding():6.2%}, {times[name]:5.1f} ms a step{share}; shapes {shapes}")
    if arguments.copies:
        plan_copies(records, load_config(arguments.config, arguments.set), arguments.copies)


if __name__ == "__main__":
    main()
