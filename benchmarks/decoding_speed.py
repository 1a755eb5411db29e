"""Speed of the search: ours, Hugging Face's `generate` on a BART of equal dimensions, and the former way, on the CPU.

    pip install -r benchmarks/requirements.txt
    python benchmarks/decoding_speed.py [--sizes small base] [--beams 4 1] [--batches 1 32] [--rounds 5]

Sources and answers have one length, so that all do the same number of steps. The former way decodes the whole prefix
again at each step. Each has a process of its own; they take turns. Prints a Markdown table; progress goes to stderr.
"""
import argparse
import os
import sys
import time
from contextlib import ExitStack

ENVIRONMENT = dict(os.environ)  # the peer's process gets it as it was before src/__init__.py adds to it
# In place of this folder, whose kernels.py would pass for a package that transformers looks for.
sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from benchmarks.engines.processes import EngineProcess, Round  # noqa: E402
from benchmarks.engines.search_report import FORMER, OURS, PEER, Measured, table  # noqa: E402
from benchmarks.engines.search_workload import Cell, Sources, random_sources, search_model  # noqa: E402
from benchmarks.engines.workload import SIZES  # noqa: E402
from src.common.arguments import HelpFormatter  # noqa: E402
from src.common.errors import MassError, UsageError, run  # noqa: E402


def main() -> None:
    arguments = _arguments()
    print(f"load before the start: {os.getloadavg()[0]:.1f} (above 0.5, ratios mean little)", flush=True)
    results: dict[Cell, Measured] = {}
    for size in arguments.sizes:
        cells = [Cell(size, beam, batch) for beam in arguments.beams for batch in arguments.batches]
        results |= _measure_size(size, cells, arguments)
    print(f"\n{arguments.rounds} rounds, {os.cpu_count()} processors, source {arguments.source_len} symbols, answers "
          f"{arguments.answer_len}\n")
    print(table(results))


def _measure_size(size: str, cells: list[Cell], arguments: argparse.Namespace) -> dict[Cell, Measured]:
    """All cells of a size, in the same processes."""
    # One warm-up, then a few sentences more where a batch is one, so that a round is no moment.
    count = {cell: max(1, arguments.sentences // cell.batch) for cell in cells}
    work = {cell.name: random_sources(cell, 1 + arguments.rounds * count[cell], arguments.source_len,
                                      arguments.answer_len, arguments.seed) for cell in cells}
    names = [OURS, PEER] + [FORMER] * (arguments.former_rounds > 0)
    with ExitStack() as stack:
        engines = {}
        for name in names:
            start = time.perf_counter()
            engines[name] = stack.enter_context(_start(name, size, work, arguments.seed))
            engines[name].run(cells[0].name, range(1))
            print(f"- {size}, {name}: {engines[name].description}; {engines[name].weights:,} weights; "
                  f"{time.perf_counter() - start:.1f} s from start to first answer", flush=True)
        peak: dict[str, int] = {}
        results = {}
        for cell in cells:
            results[cell] = _measure_cell(cell, engines, count[cell], arguments, peak)
        print(f"- {size}, most memory held: {', '.join(f'{name} {peak[name] / 2**20:,.0f} MB' for name in names)}",
              flush=True)
    return results


def _start(name: str, size: str, work: dict[str, list[Sources]], seed: int) -> EngineProcess:
    environment = ENVIRONMENT if name == PEER else {"OMP_WAIT_POLICY": "passive", **os.environ}
    return EngineProcess(name, search_model(size), work, seed, environment)


def _measure_cell(cell: Cell, engines: dict[str, EngineProcess], count: int, arguments: argparse.Namespace,
                  peak: dict[str, int]) -> Measured:
    """Rounds in turn; who begins changes from round to round."""
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    for engine in engines.values():
        engine.run(cell.name, range(1))  # warm-up
    order = list(engines)
    for number in range(arguments.rounds):
        for name in order:
            if name == FORMER and number >= arguments.former_rounds:
                continue
            part = engines[name].run(cell.name, range(1 + number * count, 1 + (number + 1) * count))
            _require_length(cell, name, part, arguments.answer_len)
            seconds[name].append(part.seconds)
            peak[name] = part.peak_memory
        order.append(order.pop(0))
        print(f"{cell.name}: round {number + 1} of {arguments.rounds}: "
              f"{', '.join(f'{name} {times[-1]:.2f} s' for name, times in seconds.items() if times)}",
              file=sys.stderr, flush=True)
    return Measured(seconds, count * cell.batch, count * arguments.answer_len)


def _require_length(cell: Cell, name: str, part: Round, length: int) -> None:
    if any(result != length for result in part.results):
        raise MassError(f"{cell.name}: the answers of {name} have lengths {part.results}, not {length}: the figures "
                        f"would not compare the same work")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=tuple(SIZES), default=list(SIZES),
                        help="small: 256 wide, 3+3 layers, vocabulary 10,000; base: 512, 6+6, 30,000")
    parser.add_argument("--beams", nargs="+", type=int, default=[4, 1])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 32])
    parser.add_argument("--rounds", type=int, default=5, help="of each engine, in turn")
    parser.add_argument("--former_rounds", type=int, default=1,
                        help="of the former way, which is slow; 0 leaves it out")
    parser.add_argument("--sentences", type=int, default=8, help="of a round, where a batch holds fewer")
    parser.add_argument("--source_len", type=int, default=32)
    parser.add_argument("--answer_len", type=int, default=20, help="of all answers, </s> included")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if min(arguments.rounds, arguments.sentences, arguments.answer_len, *arguments.beams, *arguments.batches) < 1:
        raise UsageError("--rounds, --sentences, --answer_len, --beams and --batches are at least 1")
    return arguments


if __name__ == "__main__":
    run(main)
