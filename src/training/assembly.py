"""The parts of a training run, put together: network, optimizer and step; then these with data and checkpoints."""
from typing import NamedTuple

from mindspore import Parameter

from config.config import Config
from src.checkpoints.resume import ResumePoint
from src.checkpoints.write import CheckpointWriter
from src.runtime.device import seed_dropout
from src.runtime.distributed import Ranks
from src.training.data import TrainingData
from src.training.loop import TrainingLoop, TrainingResult, planned_steps
from src.training.optimizer import Optimizer, make_optimizer, optimizer_state
from src.training.train_step import TrainStep
from src.transformer.operators.number_format import NumberFormat
from src.transformer.operators.selection import operators_of
from src.transformer.transformer_for_train import TransformerForTrain
from src.utils.loss_monitor import LossMonitor
from src.utils.lr_scheduler import planned_rates


class TrainableNetwork(NamedTuple):
    """A network, its optimizer, and the step that trains it; they are compiled at the first step."""

    network: TransformerForTrain
    optimizer: Optimizer
    step: TrainStep
    operators: str  # which operators the network has, and why
    number_format: NumberFormat  # of the matrix products

    @property
    def optimizer_state(self) -> list[Parameter]:
        """The parameters that a checkpoint stores besides the weights."""
        return optimizer_state(self.optimizer, self.network)


def assemble_network(config: Config, ranks: Ranks, steps_done: int = 0) -> TrainableNetwork:
    """Build the network with new weights, its optimizer and its training step.

    The device must be set up, and vocab_size must be that of the vocabulary.

    Args:
        steps_done: the number of steps before the one that comes first; above 0 if the run is resumed.
    """
    training, rate = config.training_config, config.learn_rate_config
    seed_dropout(config.model_config.random_seed, ranks.rank, steps_done)
    chosen = operators_of(config)
    network = TransformerForTrain(config.model_config, chosen.operators)
    optimizer = make_optimizer(rate, network.trainable_params(), chosen.operators)
    step = TrainStep(network, optimizer, rate.clip_norm, ranks, chosen.operators,
                     flat_gradients=training.device_target != "CPU")
    return TrainableNetwork(network, optimizer, step, chosen.reason, chosen.number_format)


def run_training(config: Config, trainable: TrainableNetwork, data: TrainingData, writer: CheckpointWriter | None,
                 folder: str, ranks: Ranks, resumed: ResumePoint | None = None,
                 monitor: type[LossMonitor] = LossMonitor) -> TrainingResult:
    """Run the training loop of a network on data, with reports into `folder`.

    Args:
        trainable: with the weights and the optimizer state to start from.
        writer: writes the checkpoints; None on all ranks but the main one.
        folder: the run folder; it exists.
        resumed: the checkpoint that the run is resumed from.
        monitor: the class that reports the figures.
    """
    state = resumed.state if resumed else None
    steps = planned_steps(config, data.source.steps_per_epoch)
    reports = monitor(folder, config.training_config.log_steps, steps, resumed_step=state.step if state else 0,
                      unreported=state.unreported if state else None,
                      planned=planned_rates(config.learn_rate_config, steps),
                      compute_type=trainable.number_format.compute_type, main=ranks.main)
    try:
        return TrainingLoop(config, trainable.step, data, writer, folder, reports, ranks, resumed).run()
    finally:
        reports.close()
