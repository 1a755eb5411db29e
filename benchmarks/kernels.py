"""Forms of the same operation side by side, forward and backward: why src/transformer/fast_gradients.py exists.

    python benchmarks/kernels.py [--rows 2048] [--hidden 256] [--vocabulary 10000] [--rounds 7]

Prints the median milliseconds of alternating rounds. Machines are noisy: compare the forms, not the times.
"""
import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ.setdefault("GLOG_v", "3")

import mindspore  # noqa: E402
from mindspore import Tensor, nn, ops  # noqa: E402

from src.transformer.fast_gradients import AddBias, LogSumExp, ScaleShift, Standardize  # noqa: E402


class BuiltInLayerNorm(nn.Cell):
    def __init__(self, hidden: int):
        super().__init__()
        self.norm = ops.LayerNorm(begin_norm_axis=1, begin_params_axis=1, epsilon=1e-5)

    def construct(self, x, gamma, beta):
        return self.norm(x, gamma, beta)[0]


class PlainLayerNorm(nn.Cell):
    def construct(self, x, gamma, beta):
        centred = x - ops.mean(x, -1, True)
        return centred * ops.rsqrt(ops.mean(centred * centred, -1, True) + 1e-5) * gamma + beta


class OurLayerNorm(nn.Cell):
    def __init__(self):
        super().__init__()
        self.standardize, self.scale_shift = Standardize(1e-5), ScaleShift()

    def construct(self, x, gamma, beta):
        return self.scale_shift(self.standardize(x)[0], gamma, beta)


class BuiltInBias(nn.Cell):
    def __init__(self):
        super().__init__()
        self.add = ops.BiasAdd()

    def construct(self, x, bias):
        return self.add(x, bias)


class PlainBias(nn.Cell):
    def construct(self, x, bias):
        return x + bias


class PlainLogSumExp(nn.Cell):
    def construct(self, x):
        peak = ops.stop_gradient(ops.amax(x, -1, True))
        return ops.log(ops.sum(ops.exp(x - peak), -1)) + ops.reshape(peak, (-1,))


class BuiltInLogSumExp(nn.Cell):
    def construct(self, x):
        return ops.logsumexp(x, -1)


class WithGradient(nn.Cell):
    """Value and gradients with respect to all inputs, for a given gradient of the output."""

    def __init__(self, cell: nn.Cell):
        super().__init__()
        self.cell = cell
        self.gradient = ops.GradOperation(get_all=True, sens_param=True)

    def construct(self, inputs, sensitivity):
        return self.cell(*inputs), self.gradient(self.cell)(*inputs, sensitivity)


def median_times(forms: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Median milliseconds of each form over alternating rounds, the first of which compiles and is not counted."""
    times = {name: [] for name in forms}
    for _ in range(rounds + 1):
        for name, call in forms.items():
            start = time.perf_counter()
            call()
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(found[1:]) for name, found in times.items()}


def compare(title: str, forms: dict[str, nn.Cell], inputs: list[np.ndarray], output: tuple[int, ...],
            rounds: int) -> None:
    tensors = mindspore.mutable(tuple(map(Tensor, inputs)))
    sensitivity = Tensor(np.random.default_rng(1).normal(size=output).astype(np.float32))
    cells = {name: WithGradient(cell) for name, cell in forms.items()}

    def call(cell: nn.Cell) -> Callable[[], None]:
        return lambda: cell(tensors, sensitivity)[1][0].asnumpy()

    for name, milliseconds in median_times({name: call(cell) for name, cell in cells.items()}, rounds).items():
        print(f"{title:12}{name:28}{milliseconds:9.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("rows", 2048), ("hidden", 256), ("vocabulary", 10000), ("rounds", 7)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    mindspore.set_device("CPU")
    generator = np.random.default_rng(0)
    x = generator.normal(size=(args.rows, args.hidden)).astype(np.float32)
    logits = generator.normal(size=(args.rows, args.vocabulary)).astype(np.float32)
    vector = generator.normal(size=args.hidden).astype(np.float32)
    compare("layer norm", {"built in": BuiltInLayerNorm(args.hidden), "written out": PlainLayerNorm(),
                           "own gradient (ours)": OurLayerNorm()}, [x, vector, vector], x.shape, args.rounds)
    compare("bias", {"BiasAdd": BuiltInBias(), "x + b": PlainBias(), "own gradient (ours)": AddBias()}, [x, vector],
            x.shape, args.rounds)
    compare("logsumexp", {"ops.logsumexp": BuiltInLogSumExp(), "written out": PlainLogSumExp(),
                          "own gradient (ours)": LogSumExp()}, [logits], (args.rows,), args.rounds)


if __name__ == "__main__":
    main()
