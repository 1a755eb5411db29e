"""The forms for accelerators compute what the CPU's forms compute: on the CPU, in float32, without dropout."""
import dataclasses

import numpy as np
import pytest
from mindspore import Tensor
from mindspore import dtype as mstype

from config.config import Config, LearnRateConfig
from src.dataset.batching.batch import Batch, Shape
from src.runtime.device import set_up_device
from src.runtime.distributed import Ranks
from src.training.device_check import small_config
from src.training.loop import scale_per_token
from src.training.optimizer import make_optimizer
from src.training.train_step import TrainStep, read_sums
from src.transformer.operators.accelerator_attention import ComposedAttention, FlashAttention, SelfAttention
from src.transformer.operators.accelerator_operators import AcceleratorOperators
from src.transformer.operators.interface import Operators
from src.transformer.operators.mindspore_operators import MindSporeOperators
from src.transformer.transformer_for_train import TransformerForTrain

SEED = np.zeros(2, np.int32)


@pytest.fixture(scope="module")
def config() -> Config:
    config = small_config(Config())
    model = dataclasses.replace(config.model_config, hidden_dropout_prob=0.0, attention_dropout_prob=0.0)
    set_up_device(config)
    return dataclasses.replace(config, model_config=model)


def make_batch(rows: int, length: int) -> Batch:
    """Return rows of two sentences each, with padding at the end."""
    generator = np.random.default_rng(0)
    ids = generator.integers(6, 64, (rows, length)).astype(np.int32)
    segments = np.repeat(np.array([[1, 2, 0]], np.int32), [length // 2, length - length // 2 - 2, 2], 1)
    segments = np.tile(segments, (rows, 1))
    positions = np.tile(np.arange(length, dtype=np.int32) % (length // 2), (rows, 1))
    ids = ids * (segments > 0)
    return Batch(ids, positions, segments, (segments > 0).astype(np.int32), ids, positions, segments, ids)


def make_step(config: Config, operators: Operators, optimizer: str, flat: bool) -> TrainStep:
    network = TransformerForTrain(config.model_config, operators)
    network.set_train(True)
    rate = LearnRateConfig(optimizer=optimizer)
    return TrainStep(network, make_optimizer(rate, network.trainable_params(), operators), 1.0, Ranks(), operators,
                     flat_gradients=flat)


def forms(config: Config, optimizer: str) -> tuple[TrainStep, TrainStep]:
    """Return a step of the CPU's forms and one of the accelerators', with the same weights."""
    return (make_step(config, MindSporeOperators(), optimizer, flat=False),
            make_step(config, AcceleratorOperators(), optimizer, flat=True))


def buffers_of(step: TrainStep) -> np.ndarray:
    return np.concatenate([buffer.asnumpy().ravel() for buffer in step.buffers])


def weights_of(step: TrainStep) -> np.ndarray:
    return np.concatenate([weight.asnumpy().ravel() for weight in step.network.trainable_params()])


def test_losses_and_gradients_are_those_of_the_cpu(config) -> None:
    batch, found = make_batch(4, 16), []
    for step in forms(config, "adam"):
        step.accumulate(batch, 1024.0, SEED)
        step.accumulate(batch, 1024.0, SEED)
        found.append((read_sums(step.all_reduce()), buffers_of(step)))
    (expected_sums, expected), (sums, gradients) = found
    assert sums == pytest.approx(expected_sums, rel=1e-5)
    np.testing.assert_allclose(gradients, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
def test_updates_are_those_of_the_cpu(config, optimizer: str) -> None:
    """From given gradients, which are clipped."""
    steps = forms(config, optimizer)
    before = weights_of(steps[0])
    gradients = np.random.default_rng(1).normal(size=before.size).astype(np.float32)
    sums = Tensor(np.array([1.0, 1.0, 8.0, 16.0, 0.0, np.linalg.norm(gradients)], np.float32))
    for step in steps:
        start = 0
        for buffer in step.buffers:
            buffer.set_data(Tensor(gradients[start:start + buffer.size].reshape(buffer.shape)))
            start += buffer.size
        step.apply(1e-2, sums, 2.0)
    expected, weights = map(weights_of, steps)
    np.testing.assert_allclose(weights, expected, rtol=1e-5, atol=1e-6)
    assert np.mean(expected != before) > 0.99


def test_shapes_that_flash_attention_does_not_take_are_composed() -> None:
    """Heads of 8; the kernel itself, which only Ascend has, is compared by train.py --check_device."""
    generator = np.random.default_rng(0)
    x = Tensor(generator.normal(size=(12, 16)).astype(np.float32))
    weights = [Tensor(generator.normal(size=shape).astype(np.float32)) for shape in [(16, 16)] * 3 + [(16,)] * 3]
    segments = Tensor(np.array([[1, 1, 1, 2, 2, 2], [1, 1, 1, 1, 0, 0]], np.int32))
    composed, flash = (SelfAttention(form(2, 0.0, True, mstype.float32))(x, *weights, segments, segments,
                                                                         None).asnumpy()
                       for form in (ComposedAttention, FlashAttention))
    np.testing.assert_array_equal(flash, composed)


def test_loss_scale_of_the_mean_does_not_overflow_float16(config) -> None:
    """3,000 targets at the default loss scale; of the sum of the loss it overflows."""
    batch = make_batch(192, 16)
    step = make_step(config, MindSporeOperators("float16"), "adam", flat=False)
    for scale, is_finite in ((65536.0 * scale_per_token([Shape(192, 16, 16)]), True), (65536.0, False)):
        step.accumulate(batch, scale, SEED)
        sums = read_sums(step.all_reduce())
        step.clear()
        assert sums.targets > 2600 and np.isfinite(sums.loss)
        assert np.isfinite(sums.norm) == is_finite


def test_loss_scale_is_for_the_largest_batch_and_rounds_nothing() -> None:
    assert scale_per_token([Shape(192, 16, 16)]) == 2.0**-12 == scale_per_token([Shape(1, 9, 4096), Shape(8, 9, 5)])
