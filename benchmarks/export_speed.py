"""Compare exported models with eval.py, on the CPU: equal predictions, sentences per second, size of the weights.

    pip install -r requirements-export.txt
    python benchmarks/export_speed.py --ckpt RUN_FOLDER --sentences FILE [--rounds 3]

Every format has a process of its own, and they take turns with eval.py's search on all sentences. The time includes the
processing of raw text, but no loading. A Markdown table is printed to stdout, progress to stderr.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from typing import Any, NamedTuple

ENVIRONMENT = dict(os.environ)  # of the runtimes, without the variables that src/__init__.py adds
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[0] = ROOT

from benchmarks.engines.exported_model import MARK  # noqa: E402
from src.common.arguments import HelpFormatter  # noqa: E402
from src.common.errors import MassError, UsageError, run  # noqa: E402

OURS = "eval.py"
_WEIGHTS = (".safetensors", ".onnx", ".mindir", "model.bin")


class Engine(NamedTuple):
    """A way of predicting."""

    kind: str  # of benchmarks/engines/exported_model.py
    format: str = ""  # of export.py; empty: none
    quantize: str = ""


ENGINES = {
    "huggingface, generate": Engine("generate", "huggingface"),
    "huggingface, trust_remote_code": Engine("custom", "huggingface"),
    "ctranslate2": Engine("program", "ctranslate2"), "ctranslate2, int8": Engine("program", "ctranslate2", "int8"),
    "onnx": Engine("program", "onnx"), "onnx, int8": Engine("program", "onnx", "int8"),
    "mindir": Engine("program", "mindir")}


class Process:
    """A process that predicts all sentences when it is asked to."""

    def __init__(self, kind: str, folder: str, sentences: str, environment: dict[str, str]):
        program = os.path.join(ROOT, "benchmarks", "engines", "exported_model.py")
        self._process = subprocess.Popen([sys.executable, program, kind, folder, sentences], env=environment, text=True,
                                         encoding="utf-8", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._read()

    def round(self) -> dict[str, Any]:
        """Predict all sentences and return the seconds, and in the first round the predictions."""
        print(file=self._process.stdin, flush=True)
        return self._read()

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _read(self) -> dict[str, Any]:
        for line in self._process.stdout:
            if line.startswith(MARK):
                return json.loads(line.removeprefix(MARK))
        raise MassError("a process of the benchmark has ended; its message is above")


def main() -> None:
    arguments = _arguments()
    print(f"load before the start: {os.getloadavg()[0]:.1f} (above 0.5, the ratios are not reliable)", flush=True)
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folders = {name: _export(ENGINES[name], arguments.ckpt, scratch) for name in arguments.engines}
        processes = {OURS: Process("eval", arguments.ckpt, arguments.sentences, {"OMP_WAIT_POLICY": "passive",
                                                                                **os.environ})}
        processes |= {name: Process(ENGINES[name].kind, folder, arguments.sentences, ENVIRONMENT)
                      for name, folder in folders.items()}
        for process in processes.values():
            stack.callback(process.close)
        seconds, predictions = _measure(processes, arguments.rounds)
        print(f"\n{len(predictions[OURS])} sentences, {arguments.rounds} rounds, {os.cpu_count()} processors\n")
        for line in table(seconds, predictions, {name: _size(folder) for name, folder in folders.items()}):
            print(line)


def _export(engine: Engine, ckpt: str, scratch: str) -> str:
    """Export the model, unless another engine has exported it alike, and return the folder."""
    folder = os.path.join(scratch, "-".join(filter(None, (engine.format, engine.quantize))))
    if not os.path.exists(folder):
        quantize = ["--quantize", engine.quantize] if engine.quantize else []
        subprocess.run([sys.executable, os.path.join(ROOT, "export.py"), "--ckpt", ckpt, "--format", engine.format,
                        "--output", folder, "--no-verify", *quantize], check=True, stdout=sys.stderr)
    return folder


def _measure(processes: dict[str, Process], rounds: int) -> tuple[dict[str, list[float]], dict[str, list[str]]]:
    """Return the seconds of each round and the predictions; the process that begins changes from round to round."""
    predictions = {name: process.round()["predictions"] for name, process in processes.items()}  # a warm-up
    seconds: dict[str, list[float]] = {name: [] for name in processes}
    order = list(processes)
    for number in range(rounds):
        for name in order:
            seconds[name].append(processes[name].round()["seconds"])
        order.append(order.pop(0))
        times = ", ".join(f"{name} {each[-1]:.1f} s" for name, each in seconds.items())
        print(f"round {number + 1} of {rounds}: {times}", file=sys.stderr, flush=True)
    return seconds, predictions


def table(seconds: dict[str, list[float]], predictions: dict[str, list[str]], sizes: dict[str, float]) -> list[str]:
    """Return the lines of the Markdown table."""
    lines = ["| format | equal predictions | sentences/s | of eval.py's speed, by rounds | weights, MB |",
             "| --- | ---: | ---: | ---: | ---: |"]
    count = len(predictions[OURS])
    for name, times in seconds.items():
        ratios = [ours / theirs for ours, theirs in zip(seconds[OURS], times, strict=True)]
        equal = sum(one == other for one, other in zip(predictions[name], predictions[OURS], strict=True))
        lines.append(f"| {name} | {equal} of {count} | {count / statistics.median(times):.1f} | "
                     f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) | "
                     f"{f'{sizes[name]:.1f}' if name in sizes else ''} |")
    return lines


def _size(folder: str) -> float:
    """Return the size of the weights in 10^6 bytes."""
    return sum(entry.stat().st_size for entry in os.scandir(folder) if entry.name.endswith(_WEIGHTS)) / 1e6


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("--ckpt", required=True, metavar="RUN_FOLDER", help="a run folder with its text.json")
    parser.add_argument("--sentences", required=True, metavar="FILE", help="raw text, one sentence a line")
    parser.add_argument("--engines", nargs="+", choices=tuple(ENGINES), default=list(ENGINES))
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each engine, in turn")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        raise UsageError("--rounds must be at least 1")
    return arguments


if __name__ == "__main__":
    run(main)
