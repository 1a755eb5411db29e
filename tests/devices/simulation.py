"""Compiling the program's graphs for a simulated device, and reading from MindSpore's log what became of them."""
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.devices.stub_libraries import build_cann, build_cuda, find_plugins
from tests.helpers.paths import ROOT

BEGIN, GRAPH, SEPARATOR, FINISHED = "the graphs begin", "graph: ", "\t", "the graphs end"
"""The lines of compile_graphs.py in the log: a graph's name and its error follow GRAPH, with SEPARATOR between them."""

DEVICES = 8  # RANK_SIZE of the simulated Ascend run; MindSpore cannot simulate several GPUs
# MindSpore's log names the kernel that is chosen for each operator, in these modules:
LOGGED = {"Ascend": "{DEVICE:1}", "GPU": "{DEVICE:1,PRE_ACT:1}"}
ASCEND_KERNEL = re.compile(r"kernel opname:(\w+), kernel type:(\w+?)(?:_kernel)?$")
GPU_KERNEL = re.compile(r"SetKernelInfoWithMsg\] \S*?([A-Za-z0-9_]+)-op\d+ kernel attr info: input\[\w+ (\w+) ")
EXPANDED = re.compile(r"Unsupported op \[\w+\] on GPU")  # the operator before this line is replaced by several others
FALLBACK = re.compile(r"should backoff|try to backoff on CPU|Try to use backoff CPU kernel|rebuild kernel on CPU")

NO_KERNEL = ("Reshape", "ExpandDims", "Squeeze", "Flatten")  # operators that only change a shape


@dataclass
class CompiledGraph:
    """What the log says about one graph."""

    name: str = ""
    error: str = ""  # "" if the device accepted the graph
    kernels: Counter = field(default_factory=Counter)  # number of kernels by (operator, kind)
    fallbacks: list[str] = field(default_factory=list)  # lines about operators that would run on the CPU

    @property
    def launches(self) -> int:
        """The number of kernels that run each time."""
        return sum(count for (operator, _), count in self.kernels.items() if operator not in NO_KERNEL)


class Simulation:
    """Stub libraries for both devices, in a folder."""

    def __init__(self, folder: Path):
        """Build the libraries; raises Unavailable with the reason if the machine cannot."""
        library = find_plugins()
        self._folder = folder
        ranks = {"RANK_SIZE": str(DEVICES), "RANK_ID": "0"}
        self._environments = {"GPU": build_cuda(library, folder / "cuda"),
                              "Ascend": build_cann(library, folder / "cann") | ranks}

    def environment(self, device: str) -> Mapping[str, str]:
        """Return the environment of a process that uses the simulated device."""
        own = self._environments[device]
        python_path = os.pathsep.join(filter(None, (str(ROOT), own.get("PYTHONPATH"))))
        return {**os.environ, **own, "PYTHONPATH": python_path, "GLOG_v": "3", "MS_SUBMODULE_LOG_v": LOGGED[device]}

    def compile(self, device: str, compute_type: str, *options: str) -> list[CompiledGraph]:
        """Compile graphs in a new process; see compile_graphs.py for the options.

        Raises:
            RuntimeError: the process ended before its last graph. A crash after that is no failure.
        """
        path = self._folder / f"{'_'.join((device, compute_type, *options)).replace('-', '')}.log"
        with open(path, "w") as log:
            command = [sys.executable, "-m", "tests.devices.compile_graphs", device, compute_type, *options]
            process = subprocess.run(command, env=self.environment(device), cwd=self._folder, stdout=log, stderr=log)
        text = path.read_text(errors="replace")
        if f"\n{FINISHED}\n" not in text:
            errors = re.findall(r"^\S*(?:Error|Unavailable): .*", text, re.MULTILINE) or [text[-1500:]]
            raise RuntimeError(f"{device}, {compute_type}: the process ended early with code {process.returncode}, see "
                               f"{path}: {errors[-1]}")
        return read_log(text.splitlines())


def read_log(lines: Iterable[str]) -> list[CompiledGraph]:
    """Return the graphs that a log of compile_graphs.py describes."""
    graphs, present = [], CompiledGraph()
    last = None
    for line in lines:
        if line == BEGIN:
            present = CompiledGraph()
        elif line.startswith(GRAPH):
            present.name, present.error = line.removeprefix(GRAPH).split(SEPARATOR)
            graphs.append(present)
            present = CompiledGraph()
        elif FALLBACK.search(line):
            present.fallbacks.append(line[-300:])
        elif EXPANDED.search(line):
            present.kernels[last] -= 1
        elif (match := ASCEND_KERNEL.search(line)) or (match := GPU_KERNEL.search(line)):
            last = match[1], match[2]
            present.kernels[last] += 1
    return graphs
