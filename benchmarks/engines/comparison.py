"""Running both engines on the same work, in turns."""
import math
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from typing import NamedTuple

from benchmarks.engines.neighbours import Neighbours
from benchmarks.engines.processes import EngineProcess, Round
from benchmarks.engines.workload import Training, Workload, padding
from src.common.errors import MassError

OURS = "packed"  # the layout of our batches
PEER_LAYOUTS = ("grouped", "mixed")
PEER_TYPES = ("float32", "bfloat16")  # bfloat16 is PyTorch's autocast
PEER_RUNS = tuple(f"{layout} {compute_type}" for layout in PEER_LAYOUTS for compute_type in PEER_TYPES)


class Plan(NamedTuple):
    """The amount of work. Each step has its own batch; the first step is a warm-up."""

    rounds: int
    steps: int  # of a round
    peer_layouts: tuple[str, ...]
    peer_types: tuple[str, ...]
    measure_cache: bool  # repeat the first step while it fills a compile cache, and with the filled cache
    seed: int

    @property
    def batches(self) -> int:
        return 1 + self.rounds * self.steps

    def numbers(self, round_number: int) -> range:
        """Return the numbers of the batches of a round."""
        return range(1 + round_number * self.steps, 1 + (round_number + 1) * self.steps)


class Measured(NamedTuple):
    """The measurements for one size and task."""

    tokens: float  # source and target tokens of a step, without padding
    padding: dict[str, float]  # as a share of all positions, by layout
    speed: dict[str, list[float]]  # source and target tokens per second, of each round, of OURS and by PEER_RUNS
    losses: dict[str, tuple[float, float]]  # of the first step and of the last, likewise
    memory: dict[str, int]  # peak memory in bytes, by engine
    first_step: list[float]  # ours, in seconds with compilation; while filling a compile cache; with it
    descriptions: dict[str, str]  # by engine
    processor: dict[str, float]  # seconds of processor time of a token, of OURS and by PEER_RUNS; medians

    def median(self, name: str) -> float:
        """Return the median of source and target tokens per second."""
        return statistics.median(self.speed[name])

    @property
    def best(self) -> str:
        """The one of PEER_RUNS, a layout of batches and a number format, with which the peer is fastest."""
        return max((name for name in PEER_RUNS if name in self.speed), key=self.median)

    @property
    def ratios(self) -> list[float]:
        """Our speed divided by that of the peer at its best, of each round."""
        return [ours / peer for ours, peer in zip(self.speed[OURS], self.speed[self.best], strict=True)]


class _Runner(NamedTuple):
    """An engine, and the layout of the batches that it is given."""

    engine: EngineProcess
    layout: str


def compare(name: str, training: Training, workload: Workload, plan: Plan,
            environment: Mapping[str, str], neighbours: Neighbours) -> Measured:
    """Run both engines, one at a time, in rounds.

    Args:
        name: what is measured, for progress and errors.
        environment: the environment variables of the peer's process; our process has those of this process, which
            include the ones that src/__init__.py sets.
        neighbours: repeats each round beside other processes.

    Raises:
        MassError: a loss is not finite, a process has ended, or the compile cache changes the result.
    """
    # The threads of our kernels must not wait in a busy loop while those of MindSpore work.
    our_environment = {"OMP_WAIT_POLICY": "passive", **os.environ}
    batches = workload._asdict()
    peer_batches = {layout: batches[layout] for layout in plan.peer_layouts}
    with ExitStack() as stack:
        ours, *peers = (stack.enter_context(EngineProcess(*arguments)) for arguments in (
            ("mindspore", training, {OURS: workload.packed}, plan.seed, our_environment),
            *(("pytorch", training._replace(peer_type=compute_type), peer_batches, plan.seed, environment)
              for compute_type in plan.peer_types)))
        runners = {OURS: _Runner(ours, OURS),
                   **{f"{layout} {compute_type}": _Runner(peer, layout) for layout in plan.peer_layouts
                      for compute_type, peer in zip(plan.peer_types, peers, strict=True)}}
        first = {key: runner.engine.run(runner.layout, range(1)) for key, runner in runners.items()}
        rounds = _rounds(name, runners, plan, neighbours)
    first_step = [first[OURS].seconds]
    if plan.measure_cache:
        with tempfile.TemporaryDirectory(prefix="training_speed_") as folder:
            cached = training._replace(compile_cache=os.path.join(folder, "compile_cache"))
            for _ in ("fills it", "has it"):
                with EngineProcess("mindspore", cached, {OURS: workload.packed}, plan.seed, our_environment) as again:
                    first_step.append(_repeated(name, again.run(OURS, range(1)), first[OURS]))
    layouts = (OURS, *plan.peer_layouts)
    tokens = {layout: [sum(batches[layout][number].tokens for number in plan.numbers(round_number))
                       for round_number in range(plan.rounds)] for layout in layouts}
    _require_finite(name, rounds)
    return Measured(
        statistics.mean(batch.tokens for batch in workload.packed),
        {layout: padding(batches[layout]) for layout in layouts},
        {key: [count / part.seconds for count, part in zip(tokens[runner.layout], rounds[key], strict=True)]
         for key, runner in runners.items()},
        {key: (first[key].results[0], rounds[key][-1].results[-1]) for key in runners},
        {"ours": rounds[OURS][-1].peak_memory,
         "peer": max(parts[-1].peak_memory for key, parts in rounds.items() if key != OURS)},
        first_step, {"ours": ours.description, "peer": peers[0].description},
        {key: statistics.median(part.processor_seconds / count
                                for count, part in zip(tokens[runner.layout], rounds[key], strict=True))
         for key, runner in runners.items()})


def _rounds(name: str, runners: Mapping[str, _Runner], plan: Plan,
            neighbours: Neighbours) -> dict[str, list[Round]]:
    """Run the rounds of each runner; their order changes from round to round."""
    rounds, order = {key: [] for key in runners}, list(runners)
    for number in range(plan.rounds):
        for key in order:
            engine, layout = runners[key]
            rounds[key].append(engine.run(layout, plan.numbers(number)))
            neighbours.repeat(name, key, engine, layout, plan.numbers(number), rounds[key][-1])
        order.append(order.pop(0))
        seconds = ", ".join(f"{key} {parts[-1].seconds:.2f} s" for key, parts in rounds.items())
        print(f"{name}: round {number + 1} of {plan.rounds}, {plan.steps} steps each: {seconds}", file=sys.stderr,
              flush=True)
    return rounds


def _repeated(name: str, again: Round, first: Round) -> float:
    """Return the seconds of a first step that used the compile cache, after a check that its result is the same."""
    if not math.isclose(again.results[0], first.results[0], rel_tol=1e-4):
        raise MassError(f"{name}: the loss of the first step is {first.results[0]}, but {again.results[0]} from the "
                        f"compile cache: run with --no_compile_cache, and report this")
    return again.seconds


def _require_finite(name: str, rounds: Mapping[str, list[Round]]) -> None:
    for key, parts in rounds.items():
        if not all(math.isfinite(loss) for part in parts for loss in part.results):
            raise MassError(f"{name}: a loss of the run {key!r} is not finite: the speed would mean nothing")
