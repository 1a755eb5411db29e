"""The training loop: steps, reports, validation, checkpoints."""
import math
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mindspore import Tensor

from config.config import Config
from src.checkpoints.resume import ResumePoint
from src.checkpoints.training_state import TrainingState
from src.checkpoints.validation_history import ValidationHistory, score_of
from src.checkpoints.write import CheckpointWriter
from src.dataset.batching.batch import Batch, Shape
from src.runtime.device import restore_interrupts
from src.runtime.distributed import STUCK_AFTER, Ranks
from src.runtime.signals import StopSignals
from src.training.data import TrainingData
from src.training.divergence import divergence_error
from src.training.loss_scale import make_loss_scale
from src.training.optimizer import optimizer_state
from src.training.train_step import StepSums, TrainStep, derive_dropout_seed, read_sums
from src.training.validation import Validator
from src.utils.loss_monitor import LossMonitor
from src.utils.lr_scheduler import learning_rate


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended."""

    steps: int
    checkpoint: str  # "" on all ranks but the main one
    best_step: int | None  # None without validation data
    reason: str  # why it ended; "" if it reached the planned end
    exit_code: int = 0  # 128 + the signal's number if a signal stopped it


class PendingStep(NamedTuple):
    """A step whose sums have not been read back from the device yet."""

    step: int
    sums: Tensor
    losses: list[Tensor]  # of each batch
    batches: Sequence[Batch]
    learning_rate: float
    loss_scale: float


class TrainingLoop:
    """Runs steps from the present one to the planned end; the last step is always validated and saved.

    Without dataset_sink_mode, each step waits for the device. With it, losses are read back every dataset_sink_step
    steps, before each checkpoint and before each validation; only then do several ranks notice a signal.

    Args:
        config: the configuration, with the size of the vocabulary.
        train_step: the network, its optimizer and their compiled step.
        data: the training and validation data.
        writer: writes the checkpoints; None on all ranks but the main one.
        folder: the run folder.
        monitor: reports the figures.
        ranks: this process among all ranks.
        resumed: the checkpoint that the weights and the optimizer state were loaded from, if the run is resumed.
    """

    def __init__(self, config: Config, train_step: TrainStep, data: TrainingData, writer: CheckpointWriter | None,
                 folder: str, monitor: LossMonitor, ranks: Ranks, resumed: ResumePoint | None):
        self.config, self.train_step, self.data, self.folder = config, train_step, data, folder
        self.writer, self.monitor, self.ranks = writer, monitor, ranks
        self.network = train_step.network
        self.validator = Validator(self.network, data, config, ranks) if data.valid_source else None
        self.total_steps = planned_steps(config, data.source.steps_per_epoch)
        self.step = self._first_step = resumed.state.step if resumed else 0
        self.history = resumed.state.validation if resumed else ValidationHistory()
        self.loss_scale = make_loss_scale(config.loss_scale_config)
        if resumed:
            self.loss_scale.restore(resumed.state.loss_scale, resumed.state.good_steps)
        self._per_token = scale_per_token(data.source.plan.shapes)
        self._pending: list[PendingStep] = []
        self._checkpoint = resumed.files.weights if resumed else ""
        self._signals = StopSignals(STUCK_AFTER if ranks.world_size > 1 else None)
        self._stop_code = 0  # 128 + the signal's number, once all ranks know that the run stops

    def run(self) -> TrainingResult:
        """Train until the planned end, until patience is exhausted, or until a signal requests to stop."""
        data = self.config.dataset_config
        self.network.set_train(True)
        with self._signals:
            self._validate()  # a run may have been stopped before its last step was validated
            for batches in self._steps():
                self._take_step(batches)
                if not data.dataset_sink_mode or self.step % data.dataset_sink_step == 0:
                    self._read_back()
                self._check_signals()
                self._validate()
                if self._ends() or self.step % self.config.checkpoint_options.save_ckpt_steps == 0:
                    self._save()
                if self._ends():
                    break
        return TrainingResult(self.step, self._checkpoint, self.history.best_step, self._reason(), self._stop_code)

    def _steps(self) -> Iterator[list[Batch]]:
        """Yield the batches of this rank for each step to come, starting where the last epoch was left."""
        if self._ends():
            return
        epoch, start = divmod(self.step, self.data.source.steps_per_epoch)
        while True:
            yield from self.data.source.steps(epoch, start)
            epoch, start = epoch + 1, 0

    def _take_step(self, batches: list[Batch]) -> None:
        """Run one step; its update is skipped if the gradients overflow. Sink mode checks that when it reads back."""
        self.step += 1
        scale, rate = self.loss_scale.scale, learning_rate(self.step, self.config.learn_rate_config)
        stop = self._signals.received is not None
        losses = []
        for i, batch in enumerate(batches):
            dropout_seed = derive_dropout_seed(self.config.model_config.random_seed, self.step, i, self.ranks.rank)
            loss, _ = self.train_step.accumulate(batch, scale * self._per_token, dropout_seed, stop)
            losses.append(loss)
        sums = self.train_step.all_reduce()
        self._pending.append(PendingStep(self.step, sums, losses, batches, rate, scale))
        sink = self.config.dataset_config.dataset_sink_mode
        if sink or math.isfinite(read_sums(sums).norm):
            self.train_step.apply(rate, sums, scale * self._per_token, guarded=sink)
            self.loss_scale.good()
        elif math.isfinite(read_sums(sums).loss):  # otherwise the forward pass has diverged, see _read_back
            self.loss_scale.overflow(self.step)
            self.monitor.skipped(self.step, scale, self.loss_scale.scale)
        self.train_step.clear()

    def _check_signals(self) -> None:
        """Note a request to stop. Several ranks must stop at the same step: they learn of it in _read_back."""
        restore_interrupts()
        self._signals.under_way = self._signals.under_way or self.step > self._first_step
        if self._signals.received and self.ranks.world_size == 1:
            self._stop_code = 128 + self._signals.received

    def _read_back(self) -> None:
        """Read back and report the pending steps. A loss that is not finite ends the run."""
        for number, pending in enumerate(self._pending, start=1):
            sums = read_sums(pending.sums)
            if not (math.isfinite(sums.loss) and (math.isfinite(sums.norm) or self.loss_scale.skips_overflow)):
                raise self._divergence(pending, sums)
            self.monitor.step(pending.step, sums.loss, sums.nll, round(sums.targets), round(sums.tokens),
                              pending.learning_rate, pending.loss_scale, more_follow=number < len(self._pending))
            if sums.stop and self.ranks.world_size > 1:
                self._stop_code = 128 + (self._signals.received or signal.SIGTERM)
        self._pending.clear()

    def _divergence(self, pending: PendingStep, sums: StepSums) -> Exception:
        bad = [batch for batch, loss in zip(pending.batches, pending.losses, strict=True)
               if not math.isfinite(float(loss.asnumpy()))]
        vocabulary = self.data.records.load_vocabulary()
        return divergence_error(pending.step, sums.loss, sums.norm, pending.learning_rate, pending.loss_scale,
                                bad or pending.batches, vocabulary, self.folder, self.ranks.rank)

    def _validation_due(self) -> bool:
        """Return whether the present step must be validated and has not been yet."""
        if self.validator is None or self.step in (0, self.history.last_step):
            return False
        valid_steps = self.config.training_config.valid_steps
        return (self.step == self.total_steps or self.step % self.data.source.steps_per_epoch == 0
                or (valid_steps > 0 and self.step % valid_steps == 0))

    def _validate(self) -> None:
        """Validate if it is due and save the best weights. A signal interrupts it; the resumed run then repeats it."""
        if not self._validation_due() or self._stop_code:
            return
        self._read_back()
        with self.monitor.paused():
            result = self.validator.measure(self._abandon)
        if result is None:
            return
        figures = {"nll": result.nll / result.targets, **(result.rouge or {})}
        self.history = self.history.after(self.step, score_of(figures, self.config.training_config.best_metric))
        best = self.history.best_step == self.step
        if best and self.writer:
            with self.monitor.paused():
                self.writer.save_best(self.network.transformer, self.step)
        self.monitor.validated(self.step, result.nll, result.targets, best, result.rouge)

    def _abandon(self) -> bool:
        self._check_signals()
        return bool(self._stop_code)

    def _save(self) -> None:
        self._read_back()
        if self.writer:
            with self.monitor.paused():
                state = optimizer_state(self.train_step.optimizer, self.network)
                self._checkpoint = self.writer.save(self.network.transformer, state, self._state())

    def _state(self) -> TrainingState:
        epoch, step_in_epoch = divmod(self.step, self.data.source.steps_per_epoch)
        return TrainingState(self.step, epoch, step_in_epoch, self.loss_scale.scale, self.loss_scale.good_steps,
                             self.history, self.monitor.unreported, self.data.identity,
                             self.data.records.info.vocabulary, self.config)

    def _ends(self) -> bool:
        return bool(self._reason()) or self.step >= self.total_steps

    def _reason(self) -> str:
        if self._stop_code:
            return "stopped by a signal"
        training = self.config.training_config
        if self.history.exhausts(training.patience):
            return f"no better {training.best_metric} in {training.patience} validations"
        return ""


def scale_per_token(shapes: Sequence[Shape]) -> float:
    """Return the factor that makes the loss scale one of the mean loss: the loss of a batch is a sum over its tokens.

    The gradients of all batches of a step are added up and have one factor. It is the reciprocal of the number of
    target positions in a run's largest batch, rounded up to a power of two, which changes no digit of a gradient.
    """
    return 2.0 ** -math.ceil(math.log2(max(shape.rows * shape.target_len for shape in shapes)))


def planned_steps(config: Config, steps_per_epoch: int) -> int:
    """Return the last step of a run: the end of its epochs, or max_steps if that comes first."""
    total = config.dataset_config.epochs * steps_per_epoch
    return min(total, config.training_config.max_steps or total)
