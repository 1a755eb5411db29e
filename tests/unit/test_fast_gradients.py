"""The hand-written gradients of MindSpore's operators against those that MindSpore derives."""
import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from config.config import Config
from src.runtime.device import set_up_device
from src.transformer.operators import fast_gradients


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

    def construct(self, weights, x):
        result = self.function(x)
        if isinstance(result, tuple):
            result = result[0]
        return ops.sum(weights * result)


WRITTEN = {"Standardize": (lambda: fast_gradients.Standardize(1e-5), PlainStandardize),
           "LogSumExp": (fast_gradients.LogSumExp, PlainLogSumExp)}


@pytest.mark.parametrize("name", WRITTEN)
def test_hand_written_gradient_is_that_of_the_plain_composition(name):
    set_up_device(Config())
    written, plain = WRITTEN[name]
    generator = np.random.default_rng(10)
    x = Tensor(generator.normal(size=(7, 5)).astype(np.float32))
    weights = Tensor(generator.normal(size=7 if name == "LogSumExp" else (7, 5)).astype(np.float32))
    (found, found_gradient), (expected, expected_gradient) = (
        ms.value_and_grad(WeightedSum(make()), 1)(weights, x) for make in (written, plain))
    np.testing.assert_allclose(found.asnumpy(), expected.asnumpy(), rtol=1e-5)
    np.testing.assert_allclose(found_gradient.asnumpy(), expected_gradient.asnumpy(), rtol=1e-4, atol=1e-5)
