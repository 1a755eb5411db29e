"""Our network under our training step."""
import platform

import mindspore

from benchmarks.engines.workload import Training
from src.dataset.batching.batch import Batch
from src.runtime.distributed import Ranks
from src.training.optimizer import make_optimizer
from src.training.train_step import TrainStep, dropout_seed, read_sums
from src.transformer.operators.selection import choose_operators
from src.transformer.transformer_for_train import TransformerForTrain


class MindSporeEngine:
    """Full steps on the CPU in graph mode."""

    def __init__(self, training: Training, seed: int):
        mindspore.set_context(mode=mindspore.GRAPH_MODE)
        mindspore.set_device("CPU")
        mindspore.set_seed(seed)
        if training.compile_cache:
            mindspore.set_context(enable_compile_cache=True, compile_cache_path=training.compile_cache)
        choice = choose_operators("CPU", "on" if training.operators == "c" else "off")
        network = TransformerForTrain(training.model, choice.operators)
        network.set_train(True)
        optimizer = make_optimizer(training.learn_rate, network.trainable_params())
        self._smallest = min(network.trainable_params(), key=lambda parameter: parameter.size)
        self._train_step = TrainStep(network, optimizer, training.learn_rate.clip_norm, Ranks(),
                                     choice.operators)
        self._rate = training.learn_rate.lr
        self._number = 0
        self.description = (f"MindSpore {mindspore.__version__}, Python {platform.python_version()}, "
                            f"{training.operators} operators ({choice.reason})")
        self.weights = sum(parameter.size for parameter in network.trainable_params())

    def step(self, batch: Batch) -> float:
        """One update; the mean loss over the target symbols."""
        self._number += 1
        return _update(self._train_step, batch, self._rate, self._number)

    def wait(self) -> None:
        """Return when the weights are updated. (`mindspore.runtime.synchronize` does not serve the CPU.)"""
        self._smallest.asnumpy()


def _update(train_step: TrainStep, batch: Batch, rate: float, number: int) -> float:
    """What the trainer's loop does in a step: all that depends on the interface of src/training is here."""
    train_step.gather(batch, 1.0, dropout_seed(0, number, 0, 0))
    sums = train_step.total()
    found = read_sums(sums)  # the trainer looks whether the norm is finite
    train_step.apply(rate, sums, 1.0)
    train_step.clear()
    return found.loss / found.targets
