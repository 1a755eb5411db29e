"""Compare the speed of this search with Hugging Face's `generate` and with a search without cache, on the CPU.

    pip install -r benchmarks/requirements.txt
    python benchmarks/decoding_speed.py [--sizes small base] [--beams 4 1] [--batches 1 32] [--rounds 5]

`generate` runs a BART of the same sizes; the search without cache decodes the whole prefix again at each step. All
sources have the same length, and so have all predictions, so that each search does the same number of steps. Each has a
process of its own, and they take turns. A Markdown table is printed to stdout, progress to stderr.
"""
import argparse
import os
import sys
import time
from contextlib import ExitStack

ENVIRONMENT = dict(os.environ)  # of the peer's process, without the variables that src/__init__.py adds
# Replaces this folder, because transformers would take its kernels.py for the package of that name.
sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from benchmarks.engines.processes import EngineProcess, Round  # noqa: E402
from benchmarks.engines.search_report import NO_CACHE, OURS, PEER, Measured, table  # noqa: E402
from benchmarks.engines.search_workload import Cell, Sources, random_sources, search_model  # noqa: E402
from benchmarks.engines.workload import SIZES  # noqa: E402
from src.common.arguments import HelpFormatter  # noqa: E402
from src.common.errors import MassError, UsageError, run  # noqa: E402


def main() -> None:
    arguments = _arguments()
    print(f"load before the start: {os.getloadavg()[0]:.1f} (above 0.5, the ratios are not reliable)", flush=True)
    results: dict[Cell, Measured] = {}
    for size in arguments.sizes:
        cells = [Cell(size, beam, batch) for beam in arguments.beams for batch in arguments.batches]
        results |= _measure_size(size, cells, arguments)
    print(f"\n{arguments.rounds} rounds, {os.cpu_count()} processors, sources of {arguments.source_len} tokens, "
          f"predictions of {arguments.prediction_len} tokens\n")
    print(table(results))


def _measure_size(size: str, cells: list[Cell], arguments: argparse.Namespace) -> dict[Cell, Measured]:
    """Measure all cells of a size, in the same processes."""
    # After the warm-up, a round of small batches consists of several, so that it does not end at once.
    count = {cell: max(1, arguments.sentences // cell.batch) for cell in cells}
    work = {cell.name: random_sources(cell, 1 + arguments.rounds * count[cell], arguments.source_len,
                                      arguments.prediction_len, arguments.seed) for cell in cells}
    names = [OURS, PEER] + [NO_CACHE] * (arguments.no_cache_rounds > 0)
    with ExitStack() as stack:
        engines = {}
        for name in names:
            start = time.perf_counter()
            engines[name] = stack.enter_context(_start(name, size, work, arguments.seed))
            engines[name].run(cells[0].name, range(1))
            print(f"- {size}, {name}: {engines[name].description}; {engines[name].weights:,} weights; "
                  f"{time.perf_counter() - start:.1f} s from start to first prediction", flush=True)
        peak: dict[str, int] = {}
        results = {}
        for cell in cells:
            results[cell] = _measure_cell(cell, engines, count[cell], arguments, peak)
        print(f"- {size}, peak memory: {', '.join(f'{name} {peak[name] / 2**20:,.0f} MB' for name in names)}",
              flush=True)
    return results


def _start(name: str, size: str, work: dict[str, list[Sources]], seed: int) -> EngineProcess:
    environment = ENVIRONMENT if name == PEER else {"OMP_WAIT_POLICY": "passive", **os.environ}
    return EngineProcess(name, search_model(size), work, seed, environment)


def _measure_cell(cell: Cell, engines: dict[str, EngineProcess], count: int, arguments: argparse.Namespace,
                  peak: dict[str, int]) -> Measured:
    """Run the rounds in turn; the engine that begins changes from round to round."""
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    for engine in engines.values():
        engine.run(cell.name, range(1))  # warm-up
    order = list(engines)
    for number in range(arguments.rounds):
        for name in order:
            if name == NO_CACHE and number >= arguments.no_cache_rounds:
                continue
            part = engines[name].run(cell.name, range(1 + number * count, 1 + (number + 1) * count))
            _require_length(cell, name, part, arguments.prediction_len)
            seconds[name].append(part.seconds)
            peak[name] = part.peak_memory
        order.append(order.pop(0))
        print(f"{cell.name}: round {number + 1} of {arguments.rounds}: "
              f"{', '.join(f'{name} {times[-1]:.2f} s' for name, times in seconds.items() if times)}",
              file=sys.stderr, flush=True)
    return Measured(seconds, count * cell.batch, count * arguments.prediction_len)


def _require_length(cell: Cell, name: str, part: Round, length: int) -> None:
    if any(result != length for result in part.results):
        raise MassError(f"{cell.name}: the predictions of {name} have lengths {part.results}, not {length}: the "
                        f"searches do not do the same work")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=tuple(SIZES), default=list(SIZES),
                        help="small: 256 wide, 3+3 layers, vocabulary 10,000; base: 512, 6+6, 30,000")
    parser.add_argument("--beams", nargs="+", type=int, default=[4, 1])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 32])
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each search, in turn")
    parser.add_argument("--no_cache_rounds", "--former_rounds", type=int, default=1,
                        help="rounds of the search without cache, which is slow; 0 leaves it out")
    parser.add_argument("--sentences", type=int, default=8, help="sentences in a round, if a batch has fewer")
    parser.add_argument("--source_len", type=int, default=32, help="tokens of each source")
    parser.add_argument("--prediction_len", "--answer_len", type=int, default=20,
                        help="tokens of each prediction, including </s>")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if min(arguments.rounds, arguments.sentences, arguments.prediction_len, *arguments.beams, *arguments.batches) < 1:
        raise UsageError("--rounds, --sentences, --prediction_len, --beams and --batches must be at least 1")
    return arguments


if __name__ == "__main__":
    run(main)
