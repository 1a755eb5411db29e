"""The training loop: steps, reports, validation, checkpoints."""
import math
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mindspore import Tensor

from config.config import Config
from src.checkpoints.score import Score
from src.checkpoints.training_state import DataIdentity, TrainingState
from src.checkpoints.write import Checkpoints
from src.dataset.batching.batch import Batch
from src.dataset.batching.source import BatchSource
from src.runtime.device import restore_interrupts
from src.runtime.distributed import STUCK_AFTER, Ranks
from src.runtime.signals import StopSignals
from src.training.divergence import divergence_error
from src.training.loss_scale import LossScale
from src.training.optimizer import optimizer_state
from src.training.train_step import StepSums, TrainStep, dropout_seed, read_sums
from src.training.validation import RougeSample, measure_nll
from src.utils.dictionary import Dictionary
from src.utils.loss_monitor import LossMonitor
from src.utils.lr_scheduler import learning_rate


@dataclass(frozen=True)
class TrainingData:
    """What a run learns from and is judged by."""

    source: BatchSource
    valid_source: BatchSource | None
    rouge_sample: RougeSample | None
    identity: DataIdentity
    vocabulary: dict[str, object]  # file, size, fingerprint
    vocabulary_path: str


@dataclass(frozen=True)
class TrainingResult:
    """Where a run ended."""

    steps: int
    checkpoint: str
    best_step: int | None  # None without validation data
    reason: str  # why it ended: "" at the planned end
    exit_code: int = 0  # 128 + the signal's number if a signal stopped it


class WaitingStep(NamedTuple):
    """A step whose sums are still on the device."""

    step: int
    sums: Tensor
    losses: list[Tensor]  # of each batch
    batches: Sequence[Batch]
    learning_rate: float
    loss_scale: float


class TrainingLoop:
    """Steps from where the state says to the planned end; the last step is always validated and saved.

    Without dataset_sink_mode each step waits for the device. With it, losses are read back every dataset_sink_step
    steps, before each checkpoint and before each validation; several ranks hear of a signal only then.
    """

    def __init__(self, config: Config, train_step: TrainStep, data: TrainingData, checkpoints: Checkpoints | None,
                 monitor: LossMonitor, ranks: Ranks, state: TrainingState | None, path: str):
        """`checkpoints` is None on all ranks but the main one; `state` and `path` are those of the run resumed."""
        self.config, self.train_step, self.data = config, train_step, data
        self.checkpoints, self.monitor, self.ranks = checkpoints, monitor, ranks
        self.network = train_step.network
        self.total_steps = planned_steps(config, data.source.steps_per_epoch)
        self.step = state.step if state else 0
        self.score = state.score if state else Score()
        self.loss_scale = LossScale(config.loss_scale_config)
        if state:
            self.loss_scale.restore(state.loss_scale, state.good_steps)
        self._waiting: list[WaitingStep] = []
        self._path = path
        self._signals = StopSignals(STUCK_AFTER if ranks.world_size > 1 else None)
        self._stop_code = 0  # 128 + the signal's number once all ranks know of it

    def run(self) -> TrainingResult:
        """Train to the planned end, to the end of patience, or until a signal comes."""
        data = self.config.dataset_config
        self.network.set_train(True)
        with self._signals:
            self._validate()  # a run may have been stopped before its last step was validated
            for batches in self._steps():
                self._take_step(batches)
                if not data.dataset_sink_mode or self.step % data.dataset_sink_step == 0:
                    self._read_back()
                self._heed_signals()
                self._validate()
                if self._ends() or self.step % self.config.checkpoint_options.save_ckpt_steps == 0:
                    self._save()
                if self._ends():
                    break
        return TrainingResult(self.step, self._path, self.score.best_step, self._reason(), self._stop_code)

    def _steps(self) -> Iterator[list[Batch]]:
        """The batches of this rank in each step to come; also from the middle of an epoch."""
        if self._ends():
            return
        epoch, start = divmod(self.step, self.data.source.steps_per_epoch)
        while True:
            yield from self.data.source.steps(epoch, start)
            epoch, start = epoch + 1, 0

    def _take_step(self, batches: list[Batch]) -> None:
        """One update, or none if the gradients overflow. Sink mode looks at that when it reads back."""
        self.step += 1
        scale, rate = self.loss_scale.scale, learning_rate(self.step, self.config.learn_rate_config)
        stop = self._signals.received is not None
        seed = self.config.model_config.random_seed
        losses = [self.train_step.gather(batch, scale, dropout_seed(seed, self.step, i, self.ranks.rank), stop)[0]
                  for i, batch in enumerate(batches)]
        sums = self.train_step.total()
        self._waiting.append(WaitingStep(self.step, sums, losses, batches, rate, scale))
        if self.config.dataset_config.dataset_sink_mode or math.isfinite(read_sums(sums).norm):
            self.train_step.apply(rate, sums, scale)
            self.loss_scale.good()
        elif math.isfinite(read_sums(sums).loss):  # else the forward pass itself has failed: see _read_back
            self.loss_scale.overflow(self.step)
            self.monitor.skipped(self.step, scale, self.loss_scale.scale)
        self.train_step.clear()

    def _heed_signals(self) -> None:
        """Several ranks must stop at the same step: there _read_back hears of it, from the sums that all share."""
        restore_interrupts()
        if self._signals.received and self.ranks.world_size == 1:
            self._stop_code = 128 + self._signals.received

    def _read_back(self) -> None:
        """Report the steps that wait. A loss that is not finite ends the run."""
        for number, waiting in enumerate(self._waiting, start=1):
            sums = read_sums(waiting.sums)
            applied = self.config.loss_scale_config.loss_scale_mode == "static"
            if not math.isfinite(sums.loss) or (applied and not math.isfinite(sums.norm)):
                raise self._divergence(waiting, sums)
            self.monitor.step(waiting.step, sums.loss, sums.nll, round(sums.targets), round(sums.tokens),
                              waiting.learning_rate, waiting.loss_scale, more_follow=number < len(self._waiting))
            if sums.stop and self.ranks.world_size > 1:
                self._stop_code = 128 + (self._signals.received or signal.SIGTERM)
        self._waiting.clear()

    def _divergence(self, waiting: WaitingStep, sums: StepSums) -> Exception:
        bad = [batch for batch, loss in zip(waiting.batches, waiting.losses, strict=True)
               if not math.isfinite(float(loss.asnumpy()))]
        vocabulary = Dictionary.load_from_persisted_dict(self.data.vocabulary_path)
        folder = self.checkpoints.folder if self.checkpoints else "."
        return divergence_error(waiting.step, sums.loss, sums.norm, waiting.learning_rate, waiting.loss_scale,
                                bad or waiting.batches, vocabulary, folder, self.ranks.rank)

    def _validation_due(self) -> bool:
        """Whether the present step is to be validated and has not been yet."""
        if self.data.valid_source is None or self.step in (0, self.score.last_step):
            return False
        valid_steps = self.config.training_config.valid_steps
        return (self.step == self.total_steps or self.step % self.data.source.steps_per_epoch == 0
                or (valid_steps > 0 and self.step % valid_steps == 0))

    def _validate(self) -> None:
        """Measure, and keep the best; a signal abandons it, and the resumed run makes up for it."""
        if not self._validation_due() or self._stop_code:
            return
        self._read_back()
        with self.monitor.paused():
            measured = measure_nll(self.network, self.data.valid_source, self.ranks, self._abandon)
            if measured is None:
                return
            rouge = self.data.rouge_sample.measure() if self.data.rouge_sample else None
        nll, targets = measured
        self.score = self.score.after(self.step, nll / targets)
        best = self.score.best_step == self.step
        if best and self.checkpoints:
            with self.monitor.paused():
                self.checkpoints.save_best(self.network.transformer, self.step)
        self.monitor.validated(self.step, nll, targets, best, rouge)

    def _abandon(self) -> bool:
        self._heed_signals()
        return bool(self._stop_code)

    def _save(self) -> None:
        self._read_back()
        if self.checkpoints:
            with self.monitor.paused():
                memory = optimizer_state(self.train_step.optimizer, self.network)
                self._path = self.checkpoints.save(self.network.transformer, memory, self._state())

    def _state(self) -> TrainingState:
        epoch, step_in_epoch = divmod(self.step, self.data.source.steps_per_epoch)
        return TrainingState(self.step, epoch, step_in_epoch, self.loss_scale.scale, self.loss_scale.good_steps,
                             self.score, self.monitor.unreported, self.data.identity, self.data.vocabulary, self.config)

    def _ends(self) -> bool:
        return bool(self._reason()) or self.step >= self.total_steps

    def _reason(self) -> str:
        if self._stop_code:
            return "stopped by a signal"
        patience = self.config.training_config.patience
        if self.score.exhausts(patience):
            return f"no better perplexity in {patience} validations"
        return ""


def planned_steps(config: Config, steps_per_epoch: int) -> int:
    """The step a run ends at: epochs, or max_steps if that comes first."""
    total = config.dataset_config.epochs * steps_per_epoch
    return min(total, config.training_config.max_steps or total)
