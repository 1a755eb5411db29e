"""An engine in its own process, which uses the processor only while it runs a round."""
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

# Classes by name, called with (settings, seed). An engine's libraries are imported only in its process.
ENGINES = {"mindspore": "mindspore_engine.MindSporeEngine", "pytorch": "pytorch_engine.PyTorchEngine",
           "search": "mindspore_search.CachedSearch", "prefix search": "mindspore_search.PrefixSearch",
           "pytorch search": "pytorch_search.PyTorchSearch",
           "ctranslate2": "ctranslate2_search.CTranslate2Search",
           "ctranslate2 converter": "ctranslate2_search.Converter"}


class Engine(Protocol):
    """What runs in the process."""

    description: str
    weights: int  # number of weights of the network

    def step(self, batch: Any) -> float:
        """Process a batch and return a figure that shows that it was done."""

    def wait(self) -> None:
        """Return when all steps are finished."""


class Round(NamedTuple):
    """The result of several consecutive steps."""

    seconds: float
    results: list[float]  # of each step: in training the loss, in search the mean length of the predictions
    peak_memory: int  # of the process so far, in bytes
    processor_seconds: float = 0.0  # of all threads of the process


class EngineProcess:
    """Starts an engine in a new process and makes it run steps; a context manager that ends the process.

    Args:
        name: one of ENGINES.
        settings: the settings of the engine.
        batches: lists of batches by layout; a round names a layout and the numbers of its batches.
        environment: the environment variables of the process, set before the engine's libraries are imported.

    Raises:
        MassError: the process has ended; its error message is on stderr.
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
        self._connection.close()  # on this the process ends
        self._process.join(20)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _serve(connection: Connection, name: str, settings: Any, batches: dict[str, Sequence[Any]], seed: int,
           environment: dict[str, str]) -> None:
    """Build the engine, then run the requested rounds until the connection is closed."""
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
        start, processor_start = time.perf_counter(), time.process_time()
        results = [engine.step(batches[layout][number]) for number in numbers]
        engine.wait()
        connection.send(Round(time.perf_counter() - start, results, _peak_memory(),
                              time.process_time() - processor_start))


def _peak_memory() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
