"""The hand-written gradients of MindSpore's operators against those that MindSpore derives."""
import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from config.config import Config
from src.runtime.device import set_up_device
from src.transformer.operators import fast_gradients


class PlainAddBias(nn.Cell):
    def construct(self, x, bias):
        return x + bias


class PlainScaleShift(nn.Cell):
    def construct(self, x, scale, shift):
        return x * scale + shift


class PlainStandardize(nn.Cell):
    def construct(self, x):
        centred = x - x.mean(-1, keep_dims=True)
        return centred / ops.sqrt((centred * centred).mean(-1, keep_dims=True) + 1e-5)


class PlainLogSumExp(nn.Cell):
    def construct(self, x):
        return ops.log(ops.exp(x).sum(-1))


class WeightedSum(nn.Cell):
    """A scalar to differentiate that gives every element of the result another weight."""

    def __init__(self, function: nn.Cell):
        super().__init__()
        self.function = function

    def construct(self, weights, *inputs):
        result = self.function(*inputs)
        if isinstance(result, tuple):
            result = result[0]
        return ops.sum(weights * result)


WRITTEN = {"AddBias": (fast_gradients.AddBias, PlainAddBias, [(7, 5), (5,)]),
         "ScaleShift": (fast_gradients.ScaleShift, PlainScaleShift, [(7, 5), (5,), (5,)]),
         "Standardize": (lambda: fast_gradients.Standardize(1e-5), PlainStandardize, [(7, 5)]),
         "LogSumExp": (fast_gradients.LogSumExp, PlainLogSumExp, [(7, 5)])}


@pytest.mark.parametrize("name", WRITTEN)
def test_hand_written_gradient_is_that_of_the_plain_composition(name):
    set_up_device(Config())
    written, plain, sizes = WRITTEN[name]
    generator = np.random.default_rng(10)
    inputs = [Tensor(generator.normal(size=size).astype(np.float32)) for size in sizes]
    weights = Tensor(generator.normal(size=7 if name == "LogSumExp" else (7, 5)).astype(np.float32))
    positions = tuple(range(1, len(inputs) + 1))
    (found, found_gradients), (expected, expected_gradients) = (
        ms.value_and_grad(WeightedSum(form()), positions)(weights, *inputs) for form in (written, plain))
    np.testing.assert_allclose(found.asnumpy(), expected.asnumpy(), rtol=1e-5)
    for gradients in zip(found_gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(*(gradient.asnumpy() for gradient in gradients), rtol=1e-4, atol=1e-5)
