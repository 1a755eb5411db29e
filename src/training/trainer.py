"""The training loop: steps, reports, validation, checkpoints."""
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass

from mindspore import Tensor

from config.config import Config
from config.loading import save_config
from src.dataset.batch import Batch
from src.dataset.batch_plan import BatchSource
from src.dataset.data_sources import batch_source, require_same_vocabulary, with_vocabulary_size
from src.dataset.records import RecordSet, load_records
from src.training.checkpoints import Checkpoints, require_no_run
from src.training.loss_scale import LossScale
from src.training.optimizer import make_optimizer
from src.training.train_step import TrainStep
from src.training.validation import validate
from src.transformer.transformer_for_train import TransformerForTrain
from src.transformer.weights import load_into
from src.utils.device import set_up_device
from src.utils.errors import MassError, UsageError
from src.utils.loss_monitor import LossMonitor
from src.utils.lr_scheduler import learning_rate


@dataclass(frozen=True)
class TrainingResult:
    """Where a run ended."""

    steps: int
    checkpoint: str
    best_step: int | None  # None without validation data


def train(config: Config, run_folder: str) -> TrainingResult:
    """Pre-train or fine-tune, as the configuration says.

    Checkpoints, `metrics.jsonl` and `config.json` go to checkpoint_options.ckpt_path, or to `run_folder` where it is
    empty.
    """
    records, kind = _training_records(config)
    config = with_vocabulary_size(config, records)
    source = batch_source(records, config)
    valid_source = _validation_source(config, records)
    folder = config.checkpoint_options.ckpt_path or run_folder
    require_no_run(folder)
    set_up_device(config)
    network = TransformerForTrain(config.model_config)
    existed = config.checkpoint_options.existed_ckpt
    if existed:
        load_into(network, existed, config.model_config, records.info.vocabulary, records.vocabulary_path)
    checkpoints = Checkpoints(folder, config, records.info.vocabulary, records.vocabulary_path)
    save_config(config, os.path.join(folder, "config.json"))
    trainer = Trainer(config, network, source, valid_source, checkpoints)
    _print_start(config, kind, source, trainer.total_steps, network, existed)
    return trainer.run()


class Trainer:
    """The loop over epochs and batches."""

    def __init__(self, config: Config, network: TransformerForTrain, source: BatchSource,
                 valid_source: BatchSource | None, checkpoints: Checkpoints):
        self.config = config
        self.network = network
        self.source = source
        self.valid_source = valid_source
        self.checkpoints = checkpoints
        self.total_steps = config.dataset_config.epochs * source.plan.batches_per_epoch
        if config.training_config.max_steps:
            self.total_steps = min(self.total_steps, config.training_config.max_steps)
        self.loss_scale = LossScale(config.loss_scale_config)
        optimizer = make_optimizer(config.learn_rate_config, network.trainable_params())
        self.train_step = TrainStep(network, optimizer, config.learn_rate_config.clip_norm)
        self.best_nll, self.best_step = math.inf, None
        self._waiting = []  # steps whose losses are still on the device (dataset_sink_mode)

    def run(self) -> TrainingResult:
        """Train to the end; the last step is always validated and saved."""
        monitor = LossMonitor(self.checkpoints.folder, self.config.training_config.log_steps, self.total_steps)
        valid_steps = self.config.training_config.valid_steps
        save_steps = self.config.checkpoint_options.save_ckpt_steps
        self.network.set_train(True)
        path = ""
        try:
            for step, batch in zip(range(1, self.total_steps + 1), self._batches(), strict=False):
                self._step(step, batch, monitor)
                last, ends_epoch = step == self.total_steps, step % self.source.plan.batches_per_epoch == 0
                if last or step % save_steps == 0:
                    self._read_back(monitor)  # a loss that is not finite must end the run before it is saved
                    path = self.checkpoints.save(self.network.transformer, step)
                if last or ends_epoch or (valid_steps and step % valid_steps == 0):
                    self._validate(step, monitor)
        finally:
            monitor.close()
        return TrainingResult(self.total_steps, path, self.best_step)

    def _batches(self) -> Iterator[Batch]:
        for epoch in range(self.config.dataset_config.epochs):
            yield from self.source.epoch(epoch)

    def _step(self, step: int, batch: Batch, monitor: LossMonitor) -> None:
        """One update, or none if the gradients overflow."""
        rate = learning_rate(step, self.config.learn_rate_config)
        loss, nll = self.train_step.gather(batch, self.loss_scale.scale)
        sums = (batch.target_tokens, batch.tokens, rate, self.loss_scale.scale)
        norm = self._update(step, batch, rate, monitor)
        self._waiting.append((step, (loss, nll, norm), sums))
        data = self.config.dataset_config
        if not data.dataset_sink_mode or step % data.dataset_sink_step == 0:
            self._read_back(monitor)

    def _update(self, step: int, batch: Batch, rate: float, monitor: LossMonitor) -> Tensor:
        """Apply the gradients if they are finite; returns their norm. Sink mode looks at it when it reads back."""
        scale = self.loss_scale.scale
        norm = self.train_step.norm()
        if self.config.dataset_config.dataset_sink_mode or math.isfinite(float(norm.asnumpy())):
            self.train_step.apply(rate, norm, 1.0 / (scale * batch.target_tokens))
            self.loss_scale.good()
        else:
            self.loss_scale.overflow(step)
            monitor.skipped(step, scale, self.loss_scale.scale)
        self.train_step.clear()
        return norm

    def _read_back(self, monitor: LossMonitor) -> None:
        for step, on_device, (targets, tokens, rate, scale) in self._waiting:
            loss, nll, norm = (float(value.asnumpy()) for value in on_device)
            applied = self.config.loss_scale_config.loss_scale_mode == "static"
            if not math.isfinite(loss) or (applied and not math.isfinite(norm)):
                raise MassError(f"step {step}: the loss is {loss}, the norm of its gradients {norm}, at learning rate "
                                f"{rate:g}: training has diverged; lower learn_rate_config.lr or lengthen warmup_steps")
            monitor.step(step, loss, nll, targets, tokens, rate, scale)
        self._waiting.clear()

    def _validate(self, step: int, monitor: LossMonitor) -> None:
        if self.valid_source is None:
            return
        with monitor.paused():
            nll, targets = validate(self.network, self.valid_source)
        best = nll / targets < self.best_nll
        if best:
            self.best_nll, self.best_step = nll / targets, step
            self.checkpoints.save_best(self.network.transformer, step)
        monitor.validated(step, nll, targets, best)


def _training_records(config: Config) -> tuple[RecordSet, str]:
    data = config.dataset_config
    if bool(data.pre_train_dataset) == bool(data.fine_tune_dataset):
        found = "both are set" if data.pre_train_dataset else "neither is set"
        raise UsageError(f"dataset_config: exactly one of pre_train_dataset and fine_tune_dataset must be set to "
                         f"train; {found}")
    name, kind = (("pre_train_dataset", "sentences") if data.pre_train_dataset else ("fine_tune_dataset", "pairs"))
    records = load_records(getattr(data, name), f"dataset_config.{name}")
    if records.info.kind != kind:
        raise UsageError(f"dataset_config.{name} is {getattr(data, name)!r}, which holds {records.info.kind}: "
                         f"it must hold {kind}")
    return records, kind


def _validation_source(config: Config, records: RecordSet) -> BatchSource | None:
    if not config.dataset_config.valid_dataset:
        return None
    valid = load_records(config.dataset_config.valid_dataset, "dataset_config.valid_dataset")
    require_same_vocabulary(records, valid)
    if valid.info.kind != records.info.kind:
        raise UsageError(f"dataset_config.valid_dataset holds {valid.info.kind}, the training data "
                         f"{records.info.kind}: both must be of one kind")
    return batch_source(valid, config, noisy=False)


def _print_start(config: Config, kind: str, source: BatchSource, total_steps: int, network: TransformerForTrain,
                 existed: str) -> None:
    model, plan = config.model_config, source.plan
    weights = sum(parameter.size for parameter in network.trainable_params())
    print(f"{'pre-training' if kind == 'sentences' else 'fine-tuning'} on {config.training_config.device_target}, "
          f"weights {'from ' + existed if existed else f'new, seed {model.random_seed}'}")
    print(f"model: {weights:,} weights, hidden {model.hidden_size}, {model.num_hidden_layers}+"
          f"{model.num_hidden_layers} layers, {model.num_attention_heads} heads, vocabulary {model.vocab_size:,}")
    shapes = ", ".join(f"{shape.rows}x({shape.source_len}+{shape.target_len})" for shape in plan.shapes)
    print(f"data: {len(source):,} examples, {plan.batches_per_epoch:,} batches an epoch, padding "
          f"{source.padding():.1%}; batch shapes rows x (source+target): {shapes}, each compiled at its first use")
    print(f"steps: {total_steps:,}", flush=True)
