"""An engine in a process of its own, which uses the processor only while it is asked to."""
import importlib
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, NamedTuple, Protocol

from src.common.errors import MassError

# Made with (settings, seed). Each engine's libraries are loaded only where they are used.
ENGINES = {"mindspore": "mindspore_engine.MindSporeEngine", "pytorch": "pytorch_engine.PyTorchEngine",
           "search": "mindspore_search.CachedSearch", "prefix search": "mindspore_search.PrefixSearch",
           "pytorch search": "pytorch_search.PyTorchSearch"}


class Engine(Protocol):
    """What a process runs."""

    description: str
    weights: int  # numbers of the network

    def step(self, batch: Any) -> float:
        """Work through a batch, and give a figure that shows that it was done."""

    def wait(self) -> None:
        """Return when all is done."""


class Round(NamedTuple):
    """Some steps in a row."""

    seconds: float
    results: list[float]  # of each step: in training the loss, in search the mean length of the predictions
    peak_memory: int  # bytes that the process has held at most so far


class EngineProcess:
    """Starts an engine in a new process and has it run steps; a context manager that ends the process.

    Args:
        name: one of ENGINES.
        settings: what the engine must know beside its batches.
        batches: by layout; a round names the layout and which of its batches it takes.
        environment: of the process. It is set before the engine's libraries are loaded.

    Raises:
        MassError: the process has ended; its own words are on stderr.
    """

    def __init__(self, name: str, settings: Any, batches: Mapping[str, Sequence[Any]], seed: int,
                 environment: Mapping[str, str]):
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._name = name
        self._process = context.Process(target=_serve, daemon=True,
                                        args=(other, name, settings, dict(batches), seed, dict(environment)))
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


def _serve(connection: Connection, name: str, settings: Any, batches: dict[str, Sequence[Any]], seed: int,
           environment: dict[str, str]) -> None:
    """The process: build the engine, then run what is asked for until the other end is closed."""
    os.environ.clear()
    os.environ.update(environment)
    module, _, engine_class = ENGINES[name].partition(".")
    engine: Engine = getattr(importlib.import_module(f"benchmarks.engines.{module}"), engine_class)(settings, seed)
    connection.send((engine.description, engine.weights))
    while True:
        try:
            layout, numbers = connection.recv()
        except EOFError:
            return
        start = time.perf_counter()
        results = [engine.step(batches[layout][number]) for number in numbers]
        engine.wait()
        connection.send(Round(time.perf_counter() - start, results, _peak_memory()))


def _peak_memory() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
