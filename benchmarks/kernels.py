"""Compare implementations of an operation: why src/transformer/operators has hand-written gradients and C kernels.

    python benchmarks/kernels.py [--rows 2048] [--hidden 256] [--inner 1024] [--heads 4] [--length 64]
                                 [--vocabulary 10000] [--rounds 7]

Prints the median time of alternating rounds in milliseconds, for the forward pass alone and for the forward and the
backward pass, at the sizes of a network; `--length` is the length of the rows of the attention. The first part compares
several compositions of MindSpore's operators, the second the two implementations of the network's operators, with
dropout. Timings are noisy: compare the implementations within a run, not the times of different runs.
"""
import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import src  # noqa: E402, F401, I001 - first: it sets the environment that MindSpore and OpenMP read when they are loaded

import mindspore  # noqa: E402
from mindspore import Tensor, nn, ops  # noqa: E402

from src.transformer.operators.selection import choose_operators  # noqa: E402
from src.transformer.operators.fast_gradients import LogSumExp, column_sums  # noqa: E402
from src.transformer.operators.interface import Operators  # noqa: E402
from src.transformer.operators.mindspore_operators import MindSporeOperators  # noqa: E402

DROPOUT = 0.1


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


class BuiltInBias(nn.Cell):
    def __init__(self):
        super().__init__()
        self.add = ops.BiasAdd()

    def construct(self, x, bias):
        return self.add(x, bias)


class PlainBias(nn.Cell):
    def construct(self, x, bias):
        return x + bias


class BiasWithGradient(PlainBias):
    """The sum that is the gradient of the bias is a matrix multiplication."""

    def bprop(self, x, bias, out, dout):
        return dout, column_sums(dout)


class PlainLogSumExp(nn.Cell):
    def construct(self, x):
        peak = ops.stop_gradient(ops.amax(x, -1, True))
        return ops.log(ops.sum(ops.exp(x - peak), -1)) + ops.reshape(peak, (-1,))


class BuiltInLogSumExp(nn.Cell):
    def construct(self, x):
        return ops.logsumexp(x, -1)


class Loss(nn.Cell):
    """The first result of the cross-entropy operator, the sum of the smoothed losses."""

    def __init__(self, cell: nn.Cell):
        super().__init__()
        self.cell = cell

    def construct(self, states, table, labels):
        return self.cell(states, table, labels)[0]


class WithGradient(nn.Cell):
    """The result of a cell, and the gradients of all its inputs for a given gradient of the result."""

    def __init__(self, cell: nn.Cell):
        super().__init__()
        self.cell = cell
        self.gradient = ops.GradOperation(get_all=True, sens_param=True)

    def construct(self, inputs, output_gradient):
        return self.cell(*inputs), self.gradient(self.cell)(*inputs, output_gradient)


def median_times(calls: dict[Any, Callable[[], None]], rounds: int) -> dict[Any, float]:
    """Return the median time of each call in milliseconds over alternating rounds, after one that compiles."""
    times = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(found[1:]) for name, found in times.items()}


def compare(title: str, cells: dict[str, nn.Cell], inputs: list[np.ndarray], output_shape: tuple[int, ...],
            rounds: int, forward_in_training: bool = True) -> None:
    """Measure cells that take the same inputs, and print a line for each.

    Args:
        forward_in_training: whether the forward pass alone is that of training (with dropout) or that of evaluation.
    """
    tensors = mindspore.mutable(tuple(map(Tensor, inputs)))
    output_gradient = Tensor(np.random.default_rng(1).normal(size=output_shape).astype(np.float32))

    def forward(cell: nn.Cell) -> Callable[[], None]:
        return lambda: cell.set_train(forward_in_training)(*tensors).asnumpy()

    def both(cell: nn.Cell) -> Callable[[], None]:
        with_gradient = WithGradient(cell)
        return lambda: with_gradient.set_train(True)(tensors, output_gradient)[1][0].asnumpy()

    calls = {(name, make.__name__): make(cell) for name, cell in cells.items() for make in (forward, both)}
    times = median_times(calls, rounds)
    for name in cells:
        print(f"{title:18}{name:26}{times[name, 'forward']:9.2f} ms forward{times[name, 'both']:9.2f} ms both")


def compare_compositions(args: argparse.Namespace, generator: np.random.Generator) -> None:
    """Compare the compositions that MindSporeOperators uses with the alternatives."""
    x = generator.normal(size=(args.rows, args.hidden)).astype(np.float32)
    logits = generator.normal(size=(args.rows, args.vocabulary)).astype(np.float32)
    vector = generator.normal(size=args.hidden).astype(np.float32)
    compare("layer norm", {"built in": BuiltInLayerNorm(args.hidden), "written out": PlainLayerNorm(),
                           "own gradient (ours)": MindSporeOperators().layer_norm(1e-5)},
            [x, vector, vector], x.shape, args.rounds)
    compare("bias", {"BiasAdd": BuiltInBias(), "own gradient": BiasWithGradient(), "x + b (ours)": PlainBias()},
            [x, vector], x.shape, args.rounds)
    compare("logsumexp", {"ops.logsumexp": BuiltInLogSumExp(), "written out": PlainLogSumExp(),
                          "own gradient (ours)": LogSumExp()}, [logits], (args.rows,), args.rounds)


def compare_operators(args: argparse.Namespace, generator: np.random.Generator) -> None:
    """Compare the implementations of each operator of the network, and products in bfloat16 with those in float32."""
    choice, rounded = (choose_operators("CPU", "on", compute_type) for compute_type in ("float32", "bfloat16"))
    print(choice.reason, rounded.number_format, sep="; ")
    implementations = {"MindSpore's": MindSporeOperators(), "C kernels": choice.operators}
    with_bfloat16 = {**implementations, "C kernels, bfloat16": rounded.operators}  # operators whose result is float32

    def normal(*shape: int) -> np.ndarray:
        return generator.normal(size=shape).astype(np.float32)

    def compare_both(title: str, make: Callable[[Operators], nn.Cell], inputs: list[np.ndarray],
                     output_shape: tuple[int, ...], forward_in_training: bool = True,
                     of: dict[str, Operators] = implementations) -> None:
        cells = {name: make(operators) for name, operators in of.items()}
        compare(title, cells, inputs, output_shape, args.rounds, forward_in_training)

    dropout_seed = np.array([1, 2], np.int32)
    x, inner, bias = normal(args.rows, args.hidden), normal(args.rows, args.inner), normal(args.hidden)
    compare_both("matmul", lambda factory: factory.matmul(), [x, normal(args.inner, args.hidden)], inner.shape,
                 of=with_bfloat16)
    compare_both("layer norm", lambda factory: factory.layer_norm(1e-5), [x, bias, bias], x.shape)
    compare_both("residual", lambda factory: factory.residual(DROPOUT), [x, normal(*x.shape), bias, dropout_seed],
                 x.shape)
    compare_both("relu", lambda factory: factory.activation("relu", DROPOUT),
                 [inner, normal(args.inner), dropout_seed], inner.shape)
    segments = np.ones((args.rows // args.length, args.length), np.int32)
    projections = [normal(segments.size, args.hidden) for _ in range(3)]
    for title, numbers in (("attention", segments), ("attention packed", np.sort(segments * generator.integers(
            1, 4, segments.shape, dtype=np.int32), axis=1))):  # about three sentences a row
        compare_both(title, lambda factory: factory.attention(args.heads, DROPOUT, True),
                     [*projections, bias, bias, bias, numbers, numbers, dropout_seed], projections[0].shape)
    ids = generator.integers(0, args.vocabulary, args.rows, dtype=np.int32)
    positions, table = ids % args.length, normal(args.vocabulary, args.hidden)
    compare_both("embedding", lambda factory: factory.embedding(16.0, DROPOUT),
                 [table, ids, positions, normal(args.length, args.hidden), dropout_seed], x.shape)
    compare_both("loss", lambda factory: Loss(factory.cross_entropy(0.9, 1e-5)), [x, 0.1 * table, ids], (1,),
                 forward_in_training=False,  # in training, the forward pass of the kernel computes the gradients
                 of=with_bfloat16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("rows", 2048), ("hidden", 256), ("inner", 1024), ("heads", 4), ("length", 64),
                          ("vocabulary", 10000), ("rounds", 7)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    mindspore.set_device("CPU")
    compare_compositions(args, np.random.default_rng(0))
    compare_operators(args, np.random.default_rng(0))


if __name__ == "__main__":
    main()
