"""Compare the speed of this search with CTranslate2, with Hugging Face's `generate` and with a search without cache.

    pip install -r benchmarks/requirements.txt
    python benchmarks/decoding_speed.py [--sizes small base] [--beams 4 1] [--batches 1 32] [--rounds 5] [--loaded 1]

CTranslate2 runs our network, converted from the same weights, twice: its threads work on a batch together, or each
takes a share of its sentences ("shared"). `generate` runs a BART of the same sizes; the search
without cache decodes the whole prefix again at each step. All sources have the same length, and so have all
predictions, so that each search does the same number of steps. Each has a process of its own, and they take turns. All
have as many threads as there are cores, or OMP_NUM_THREADS. Markdown tables are printed to stdout, progress to stderr.
"""
import argparse
import os
import sys
import tempfile
import time
from contextlib import ExitStack

ENVIRONMENT = dict(os.environ)  # of the peers' processes, without the variables that src/__init__.py adds
# Replaces this folder, because transformers would take its kernels.py for the package of that name.
sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from benchmarks.engines.neighbours import Neighbours  # noqa: E402
from benchmarks.engines.processes import EngineProcess, Round  # noqa: E402
from benchmarks.engines.search_report import (  # noqa: E402
    CTRANSLATE2,
    GENERATE,
    NO_CACHE,
    OURS,
    Measured,
    Search,
    memory_line,
    tables,
)
from benchmarks.engines.search_workload import (  # noqa: E402
    Cell,
    SearchSettings,
    Sources,
    random_sources,
    search_model,
)
from benchmarks.engines.workload import SIZES  # noqa: E402
from src.common.arguments import HelpFormatter  # noqa: E402
from src.common.errors import MassError, UsageError, run  # noqa: E402
from src.common.parallel import available_cores  # noqa: E402

_ENGINES = {OURS: "search", GENERATE: "pytorch search", CTRANSLATE2: "ctranslate2", NO_CACHE: "prefix search"}


def main() -> None:
    arguments = _arguments()
    print(f"load before the start: {os.getloadavg()[0]:.1f} (above 0.5, the ratios are not reliable)", flush=True)
    results: dict[Cell, Measured] = {}
    neighbours = Neighbours(arguments.loaded)
    for size in arguments.sizes:
        cells = [Cell(size, beam, batch) for beam in arguments.beams for batch in arguments.batches]
        results |= _measure_size(size, cells, arguments, neighbours)
    print(f"\n{arguments.rounds} rounds, {os.cpu_count()} processors, sources of {arguments.source_len} tokens, "
          f"predictions of {arguments.prediction_len} tokens\n")
    print(tables(results))
    if arguments.loaded:
        print(f"\n{neighbours.table()}")


def _searches(arguments: argparse.Namespace) -> list[Search]:
    searches = [Search(OURS, name) for name in arguments.formats]
    searches += [Search(CTRANSLATE2, name, shared) for name in arguments.ctranslate2_formats
                 for shared in ((False,) if arguments.processor_time else (False, True))]
    searches += [Search(GENERATE)] if arguments.generate else []
    return searches + ([Search(NO_CACHE)] if arguments.no_cache_rounds else [])


def _measure_size(size: str, cells: list[Cell], arguments: argparse.Namespace,
                  neighbours: Neighbours) -> dict[Cell, Measured]:
    """Measure all cells of a size, in the same processes."""
    # After the warm-up, a round of small batches consists of several, so that it does not end at once.
    count = {cell: max(1, arguments.sentences // cell.batch) for cell in cells}
    work = {cell.name: random_sources(cell, 1 + arguments.rounds * count[cell], arguments.source_len,
                                      arguments.prediction_len, arguments.seed) for cell in cells}
    with ExitStack() as stack:
        settings = SearchSettings(search_model(size))
        if arguments.ctranslate2_formats:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="decoding_speed_"))
            settings = _convert(settings._replace(folder=folder), arguments.seed)
        engines = {}
        for search in _searches(arguments):
            start = time.perf_counter()
            chosen = settings._replace(number_format=search.number_format, share_batches=search.share_batches)
            engine = _start(search, chosen, work, arguments.seed, arguments.processor_time)
            engines[search] = stack.enter_context(engine)
            engine.run(cells[0].name, range(1))
            print(f"- {size}, {search.name}: {engine.description}; {engine.weights:,} weights; "
                  f"{time.perf_counter() - start:.1f} s from start to first prediction", flush=True)
        peak: dict[Search, int] = {}
        results = {}
        for cell in cells:
            results[cell] = _measure_cell(cell, engines, count[cell], arguments, peak, neighbours)
        print(memory_line(size, peak), flush=True)
    return results


def _convert(settings: SearchSettings, seed: int) -> SearchSettings:
    """Write the network for CTranslate2, and return the settings with the number of its weights."""
    with EngineProcess("ctranslate2 converter", settings, {}, seed, dict(os.environ)) as converter:
        return settings._replace(weights=converter.weights)


def _start(search: Search, settings: SearchSettings, work: dict[str, list[Sources]], seed: int,
           one_thread: bool) -> EngineProcess:
    ours = search.program in (OURS, NO_CACHE)
    environment = {"OMP_WAIT_POLICY": "passive", **os.environ} if ours else dict(ENVIRONMENT)
    environment["OMP_NUM_THREADS"] = "1" if one_thread else environment.get("OMP_NUM_THREADS", str(available_cores()))
    return EngineProcess(_ENGINES[search.program], settings, work, seed, environment)


def _measure_cell(cell: Cell, engines: dict[Search, EngineProcess], count: int, arguments: argparse.Namespace,
                  peak: dict[Search, int], neighbours: Neighbours) -> Measured:
    """Run the rounds in turn; the search that begins changes from round to round."""
    seconds: dict[Search, list[float]] = {search: [] for search in engines}
    for engine in engines.values():
        engine.run(cell.name, range(1))  # warm-up
    order = list(engines)
    for number in range(arguments.rounds):
        for search in order:
            if search.program == NO_CACHE and number >= arguments.no_cache_rounds:
                continue
            numbers = range(1 + number * count, 1 + (number + 1) * count)
            part = engines[search].run(cell.name, numbers)
            _require_length(cell, search, part, arguments.prediction_len)
            seconds[search].append(part.processor_seconds if arguments.processor_time else part.seconds)
            peak[search] = part.peak_memory
            neighbours.repeat(cell.name, search.name, engines[search], cell.name, numbers, part)
        order.append(order.pop(0))
        print(f"{cell.name}: round {number + 1} of {arguments.rounds}: "
              f"{', '.join(f'{search.name} {times[-1]:.2f} s' for search, times in seconds.items() if times)}",
              file=sys.stderr, flush=True)
    return Measured(seconds, count * cell.batch, count * arguments.prediction_len)


def _require_length(cell: Cell, search: Search, part: Round, length: int) -> None:
    if any(result != length for result in part.results):
        raise MassError(f"{cell.name}: the predictions of {search.name} have lengths {part.results}, not {length}: "
                        f"the searches do not do the same work")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=tuple(SIZES), default=list(SIZES),
                        help="small: 256 wide, 3+3 layers, vocabulary 10,000; base: 512, 6+6, 30,000")
    parser.add_argument("--beams", nargs="+", type=int, default=[4, 1])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 32])
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each search, in turn")
    parser.add_argument("--formats", nargs="+", choices=("float32", "bfloat16", "int8"),
                        default=["float32", "bfloat16", "int8"], help="number formats of this search")
    parser.add_argument("--ctranslate2_formats", nargs="*", default=["float32", "int8"],
                        help="number formats of CTranslate2, none to leave it out; it converts the others to one that "
                             "the processor has")
    parser.add_argument("--generate", action=argparse.BooleanOptionalAction, default=True,
                        help="measure Hugging Face's generate")
    parser.add_argument("--no_cache_rounds", "--former_rounds", type=int, default=1,
                        help="rounds of the search without cache, which is slow; 0 leaves it out")
    parser.add_argument("--sentences", type=int, default=8, help="sentences in a round, if a batch has fewer")
    parser.add_argument("--source_len", type=int, default=32, help="tokens of each source")
    parser.add_argument("--prediction_len", "--answer_len", type=int, default=20,
                        help="tokens of each prediction, including </s>")
    parser.add_argument("--loaded", type=int, default=0, metavar="PROCESSES",
                        help="run each round once more beside this number of busy processes")
    parser.add_argument("--processor_time", action="store_true",
                        help="run one thread and measure its processor time, which other processes hardly change")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if min(arguments.rounds, arguments.sentences, arguments.prediction_len, *arguments.beams, *arguments.batches) < 1:
        raise UsageError("--rounds, --sentences, --prediction_len, --beams and --batches must be at least 1")
    if arguments.loaded < 0:
        raise UsageError("--loaded must be at least 0")
    return arguments


if __name__ == "__main__":
    run(main)
