"""Compile every graph of the program for Ascend and GPU on a machine that has neither, and print what became of them.

    python -m tests.devices.check [--layers N] [--work FOLDER]

The table has a row for each graph and number format: kernels that run each time (launches), and how many of each kind.
On Ascend a kind is the library of the kernel: opapi (aclnn), acl (the older aclop), rt (a change of shape), hccl
(communication). On GPU it is the type of the first input. Nothing is computed.
"""
import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.devices.simulation import CompiledGraph, Simulation
from tests.devices.stub_libraries import Unavailable

RUNS = {
    "Ascend, bfloat16": ("Ascend", "bfloat16", "--optimizers", "adam", "momentum", "lamb"),
    "Ascend, bfloat16, flash attention": ("Ascend", "bfloat16", "--flash_attention"),
    "Ascend, float16": ("Ascend", "float16"),
    "Ascend, float32": ("Ascend", "float32"),
    "GPU, float16": ("GPU", "float16", "--optimizers", "adam", "momentum", "lamb"),
    "GPU, float32": ("GPU", "float32"),
}
"""The processes of a check, with their arguments for compile_graphs.py."""

PROCESSES = 2
TRAINING = ("training: gradients", "training: norm", "training: all-reduce and norm", "training: update by adam")
"""The graphs that run in a step with one batch."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=1, help="layers of the encoder and of the decoder")
    parser.add_argument("--work", type=Path, help="folder for stub libraries and logs; it must not exist")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            compiled = compile_all(Simulation(args.work or Path(folder) / "work"), args.layers)
        except Unavailable as reason:
            print(f"not checked: {reason}")
            return 0
    for line in table(compiled):
        print(line)
    return 1 if failures(compiled) else 0


def compile_all(simulation: Simulation, layers: int = 1) -> dict[str, list[CompiledGraph]]:
    """Return the graphs of each of the RUNS."""
    with ThreadPoolExecutor(PROCESSES) as pool:
        graphs = pool.map(lambda run: simulation.compile(*run, "--layers", str(layers)), RUNS.values())
        return dict(zip(RUNS, graphs, strict=True))


def failures(compiled: dict[str, list[CompiledGraph]]) -> list[str]:
    """Return a line for each graph that a device refuses, or would compute in part on the CPU."""
    return [f"{run}, {graph.name}: {graph.error or graph.fallbacks[0]}"
            for run, graphs in compiled.items() for graph in graphs if graph.error or graph.fallbacks]


def table(compiled: dict[str, list[CompiledGraph]]) -> Iterator[str]:
    """Yield the lines that a user sees."""
    for run, graphs in compiled.items():
        yield f"\n{run}"
        for graph in graphs:
            yield f"  {graph.name:30} {graph.launches:5} launches  {kinds_of(graph.kernels)}"
        step = sum((graph.kernels for graph in graphs if graph.name in TRAINING), Counter())
        operators = Counter()
        for (operator, _), count in step.items():
            operators[operator] += count
        if TRAINING[-1] in [graph.name for graph in graphs]:
            launches = CompiledGraph(kernels=step).launches
            yield f"  {'a training step with adam':30} {launches:5} launches  {kinds_of(step)}"
        yield "    " + ", ".join(f"{operator} {count}" for operator, count in operators.most_common() if count)
    yield from failures(compiled)


def kinds_of(kernels: Counter) -> str:
    """Return the number of kernels of each kind."""
    kinds: Counter = Counter()
    for (_, kind), count in kernels.items():
        kinds[kind] += count
    return ", ".join(f"{kind} {count}" for kind, count in kinds.most_common() if count)


if __name__ == "__main__":
    sys.exit(main())
