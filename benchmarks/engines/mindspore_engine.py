"""Our network with our training step."""
import dataclasses
import platform

import mindspore

from benchmarks.engines.workload import Training
from config.config import Config, TrainingConfig
from src.dataset.batching.batch import Batch
from src.runtime.device import set_up_device
from src.runtime.distributed import Ranks
from src.training.assembly import assemble_network
from src.training.train_step import TrainStep, derive_dropout_seed, read_sums


class MindSporeEngine:
    """Runs full training steps on the CPU in graph mode."""

    def __init__(self, training: Training, seed: int):
        config = Config(model_config=dataclasses.replace(training.model, random_seed=seed),
                        learn_rate_config=training.learn_rate,
                        training_config=TrainingConfig(native_kernels="on" if training.operators == "c" else "off"))
        set_up_device(config)
        if training.compile_cache:
            mindspore.set_context(enable_compile_cache=True, compile_cache_path=training.compile_cache)
        trainable = assemble_network(config, Ranks())
        trainable.network.set_train(True)
        weights = trainable.network.trainable_params()
        self._train_step = trainable.step
        self._smallest = min(weights, key=lambda parameter: parameter.size)
        self._rate = training.learn_rate.lr
        self._number = 0
        self.description = (f"MindSpore {mindspore.__version__}, Python {platform.python_version()}, "
                            f"{training.operators} operators ({trainable.operators}), products in "
                            f"{trainable.number_format}")
        self.weights = sum(parameter.size for parameter in weights)

    def step(self, batch: Batch) -> float:
        """Update the weights and return the mean loss over the target tokens."""
        self._number += 1
        return _update(self._train_step, batch, self._rate, self._number)

    def wait(self) -> None:
        """Return when the weights are updated. (`mindspore.runtime.synchronize` has no effect on the CPU.)"""
        self._smallest.asnumpy()


def _update(train_step: TrainStep, batch: Batch, rate: float, number: int) -> float:
    """Run a step as the training loop does; return the mean loss over the target tokens."""
    train_step.accumulate(batch, 1.0, derive_dropout_seed(0, number, 0, 0))
    sums = train_step.all_reduce()
    found = read_sums(sums)  # the training loop checks whether the norm is finite
    train_step.apply(rate, sums, 1.0)
    train_step.clear()
    return found.loss / found.targets
