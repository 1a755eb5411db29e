"""The graphs of the program compile for Ascend and GPU without a fallback to the CPU.

In the format of `auto` these are all graphs, in the others those with matrix products, but for the gradients of a
step's further batches, which differ from those of the first in how they are stored.
"""
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.devices.check import RUNS, compile_all, failures, table
from tests.devices.simulation import FALLBACK, Simulation, read_log
from tests.devices.stub_libraries import Unavailable

REFUSED = """
import os
import numpy, mindspore
from mindspore import Tensor, nn, ops
mindspore.set_context(mode=mindspore.GRAPH_MODE)
mindspore.set_device("GPU")
class Net(nn.Cell):
    def construct(self, x):
        return FORM
Net()(Tensor(numpy.ones((4, 4), numpy.float32)))
os._exit(0)
"""


@pytest.fixture(scope="module")
def simulation(tmp_path_factory) -> Simulation:
    try:
        return Simulation(tmp_path_factory.mktemp("devices") / "work")
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def compiled(simulation):
    return compile_all(simulation)


def test_all_graphs_compile_on_all_devices(compiled, capsys) -> None:
    with capsys.disabled():
        print(*table(compiled), sep="\n")
    assert failures(compiled) == []


def test_every_graph_was_seen_with_its_kernels(compiled) -> None:
    """An empty graph in the log would mean that MindSpore's messages are no longer understood."""
    for run, graphs in compiled.items():
        least = 3 if "flash" in run else 14 if "--optimizers" in RUNS[run] else 8
        assert len(graphs) >= least, run
        assert all(graph.launches > 0 for graph in graphs if "encoder" not in graph.name)


def test_ascend_ranks_communicate(compiled) -> None:
    """With RANK_SIZE 8, the gradients are all-reduced in one message or a few."""
    reduces = [graph.kernels["AllReduce", "hccl"] for graph in compiled["Ascend, bfloat16"]
               if "all-reduce" in graph.name]
    assert len(reduces) == 1 and 1 <= reduces[0] <= 4


def test_flash_attention_is_one_kernel(compiled) -> None:
    """In the training step with dropout: of one layer on each side, three attentions, each with its gradient."""
    composed, flash = ({graph.name: graph for graph in compiled[run]}["training: gradients"]
                       for run in ("Ascend, bfloat16", "Ascend, bfloat16, flash attention"))
    kernels = Counter(operator for operator, _ in flash.kernels.elements())
    assert kernels["FlashAttentionScore"] == kernels["FlashAttentionScoreGrad"] == 3
    assert flash.launches < composed.launches


@pytest.mark.parametrize(("form", "falls_back"), [("ops.eig(x)[0]", True), ("ops.topk(x, 2)[0]", False)])
def test_fallback_to_the_cpu_is_noticed(simulation, tmp_path: Path, form: str, falls_back: bool) -> None:
    program = tmp_path / "program.py"  # MindSpore reads the source of a cell from its file
    program.write_text(REFUSED.replace("FORM", form))
    done = subprocess.run([sys.executable, str(program)], env=simulation.environment("GPU"), cwd=tmp_path,
                          capture_output=True, text=True)
    assert bool(FALLBACK.search(done.stderr + done.stdout)) == falls_back


def test_refusal_is_noticed(simulation) -> None:
    """MindSpore has no matrix products in bfloat16 on GPU; the program says so before it builds the network."""
    with pytest.raises(RuntimeError, match="no kernel for matrix products"):
        simulation.compile("GPU", "bfloat16")


def test_log_is_read() -> None:
    lines = ["x] kernel opname:MatMul, kernel type:opapi_kernel", "the graphs begin",
             "x] kernel opname:Add, kernel type:acl_kernel", "graph: one\t", "node is Eig should backoff",
             "graph: two\tRuntimeError('no')"]
    one, two = read_log(lines)
    assert (one.name, one.error, one.kernels, one.fallbacks) == ("one", "", {("Add", "acl"): 1}, [])
    assert (two.name, two.error, two.launches, len(two.fallbacks)) == ("two", "RuntimeError('no')", 0, 1)
