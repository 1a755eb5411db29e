"""An engine in a process of its own, which uses the processor only while it is asked to."""
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from types import TracebackType
from typing import NamedTuple, Protocol

from benchmarks.engines.workload import Training
from src.dataset.batch import Batch
from src.utils.errors import MassError

ENGINES = ("mindspore", "pytorch")


class Engine(Protocol):
    """What a process runs."""

    description: str
    weights: int  # numbers that are trained

    def step(self, batch: Batch) -> float: ...

    def wait(self) -> None: ...


class Round(NamedTuple):
    """Some steps in a row."""

    seconds: float
    losses: list[float]  # of each step, the mean over its target symbols
    peak_memory: int  # bytes that the process has held at most so far


class EngineProcess:
    """Starts an engine in a new process and has it run steps; a context manager that ends the process.

    Args:
        name: one of ENGINES.
        batches: by layout; a round names the layout and which of its batches it takes.
        environment: of the process. It is set before the engine's libraries are loaded.

    Raises:
        MassError: the process has ended; its own words are on stderr.
    """

    def __init__(self, name: str, training: Training, batches: Mapping[str, Sequence[Batch]], seed: int,
                 environment: Mapping[str, str]):
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._name = name
        self._process = context.Process(target=_serve, daemon=True,
                                        args=(other, name, training, dict(batches), seed, dict(environment)))
        self._process.start()
        other.close()
        self.description, self.weights = self._receive()

    def run(self, layout: str, numbers: range) -> Round:
        """Run one round and wait for it."""
        self._connection.send((layout, numbers))
        return self._receive()

    def _receive(self):
        try:
            return self._connection.recv()
        except EOFError:
            self._process.join()
            raise MassError(f"the process of {self._name} has ended with exit code {self._process.exitcode}; "
                            f"is benchmarks/requirements.txt installed?") from None

    def __enter__(self) -> "EngineProcess":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self._connection.close()  # the process ends when it sees this
        self._process.join(20)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _serve(connection: Connection, name: str, training: Training, batches: dict[str, Sequence[Batch]], seed: int,
           environment: dict[str, str]) -> None:
    """The process: build the engine, then run what is asked for until the other end is closed."""
    os.environ.clear()
    os.environ.update(environment)
    engine = _engine(name, training, seed)
    connection.send((engine.description, engine.weights))
    while True:
        try:
            layout, numbers = connection.recv()
        except EOFError:
            return
        start = time.perf_counter()
        losses = [engine.step(batches[layout][number]) for number in numbers]
        engine.wait()
        connection.send(Round(time.perf_counter() - start, losses, _peak_memory()))


def _engine(name: str, training: Training, seed: int) -> Engine:
    """Each engine's libraries are loaded only where they are used."""
    if name == "mindspore":
        from benchmarks.engines.mindspore_engine import MindSporeEngine
        return MindSporeEngine(training, seed)
    from benchmarks.engines.pytorch_engine import PyTorchEngine
    return PyTorchEngine(training, seed)


def _peak_memory() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
