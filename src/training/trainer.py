"""From a configuration to a training run: everything is checked and put together, then the loop runs."""
import os
from collections.abc import Sequence

from mindspore import Parameter

from config.config import Config
from config.loading import save_config
from src.checkpoints.load import load_into
from src.checkpoints.resume import Resumed, find_resumed, load_optimizer, require_same_run
from src.checkpoints.training_state import TrainingState
from src.checkpoints.write import (
    LATEST,
    SET_ASIDE,
    CheckpointFiles,
    Checkpoints,
    checkpoints_of,
    link_or_copy,
    require_no_file,
    require_no_run,
    set_aside,
)
from src.common.files import copy_atomically, make_output_folder
from src.dataset.batching.assembly import with_vocabulary_size
from src.dataset.records.record_set import RecordSet
from src.runtime.device import require_compute_type, seed_dropout, set_up_device
from src.runtime.distributed import Ranks, join_ranks
from src.text.text_processing import TextProcessing
from src.training.data import (
    identify,
    text_processing,
    training_records,
    training_source,
    validation_records,
    validation_source,
)
from src.training.loop import TrainingData, TrainingLoop, TrainingResult, planned_steps
from src.training.optimizer import make_optimizer, optimizer_state
from src.training.summary import StartSummary, start_text
from src.training.train_step import TrainStep
from src.training.validation import RougeSample
from src.transformer.operators.selection import choose_operators
from src.transformer.transformer_for_train import TransformerForTrain
from src.utils.loss_monitor import LossMonitor
from src.utils.monitoring.metrics_file import TRAINING_METRICS_FILE


def train(config: Config, run_folder: str, resume: str | None = None) -> TrainingResult:
    """Pre-train or fine-tune, as the configuration says, alone or as one of the processes msrun has started.

    Args:
        run_folder: where checkpoints, `metrics.jsonl` and `config.json` go if checkpoint_options.ckpt_path is empty.
        resume: None starts a new run. "" goes on from the newest checkpoint of the run folder, and starts a new run if
            there is none yet; a path goes on from that checkpoint, or from the newest of that folder.
    """
    set_up_device(config)
    ranks = join_ranks(config.training_config.device_target)
    folder = config.checkpoint_options.ckpt_path or run_folder
    records = training_records(config)
    config = with_vocabulary_size(config, records)
    valid_records = validation_records(config, records)
    source = training_source(records, config, ranks)
    valid_source = validation_source(valid_records, config, ranks, source.plan.shapes)
    require_compute_type(config)
    identity = identify(records.info.kind, source, valid_source)
    resumed = _find_resumed(resume, folder, config, ranks)
    if resumed:
        require_same_run(resumed, config, identity)
    state = resumed.state if resumed else None
    start = resumed.files.weights if resumed else config.checkpoint_options.existed_ckpt
    text = text_processing(config, records, start) if ranks.main else None

    seed_dropout(config.model_config.random_seed, ranks.rank, state.step if state else 0)
    chosen = choose_operators(config.training_config.device_target, config.training_config.native_kernels,
                              config.model_config.compute_type)
    network = TransformerForTrain(config.model_config, chosen.operators)
    optimizer = make_optimizer(config.learn_rate_config, network.trainable_params())
    weights_from = _load(config, network, optimizer_state(optimizer, network), resumed, records, ranks)
    rouge_sample = None
    if config.training_config.valid_rouge_sentences:
        rouge_sample = RougeSample(network, valid_records, config, ranks)
    data = TrainingData(source, valid_source, rouge_sample, identity, records.info.vocabulary, records.vocabulary_path)
    checkpoints = _prepare_folder(folder, config, records, text, resumed) if ranks.main else None
    if ranks.main:
        print(start_text(_summary(config, network, data, records, valid_records, ranks, state, weights_from, folder,
                                  chosen.reason)),
              flush=True)
    total_steps = planned_steps(config, source.steps_per_epoch)
    monitor = LossMonitor(folder, config.training_config.log_steps, total_steps,
                          resumed_step=state.step if state else 0, unreported=state.unreported if state else None,
                          main=ranks.main)
    try:
        train_step = TrainStep(network, optimizer, config.learn_rate_config.clip_norm, ranks, chosen.operators)
        return TrainingLoop(config, train_step, data, checkpoints, monitor, ranks, state,
                            resumed.files.weights if resumed else "").run()
    finally:
        monitor.close()


def _find_resumed(resume: str | None, folder: str, config: Config, ranks: Ranks) -> Resumed | None:
    """The checkpoint the main rank has chosen; the others hear of it, for they may not see its folder."""
    found = None
    if ranks.main:
        require_no_file(folder)
        if resume is not None:
            found = find_resumed(resume, folder, config.checkpoint_options.ckpt_prefix)
            if not found:
                print(f"--resume: {folder!r} holds no checkpoint yet: a new run begins", flush=True)
        if resume is None or (found and not _continues_in(folder, found)):
            require_no_run(folder)
    if resume is None:
        return None
    text = ranks.from_main(f"{found.files.stem}\n{found.state.to_json()}".encode() if found else b"").decode()
    if not text:
        return None
    stem, _, state = text.partition("\n")
    return Resumed(CheckpointFiles(stem), TrainingState.from_json(state)[0])


def _load(config: Config, network: TransformerForTrain, optimizer_memory: Sequence[Parameter], resumed: Resumed | None,
          records: RecordSet, ranks: Ranks) -> str:
    """Set weights and optimizer, on the main rank from files and on the others from it; returns where they are from."""
    existed, model = config.checkpoint_options.existed_ckpt, config.model_config
    if not (resumed or existed):
        return f"new, seed {model.random_seed}"
    path = resumed.files.weights if resumed else existed
    step = None
    if ranks.main:
        weights = load_into(network, path, model, records.info.vocabulary, records.vocabulary_path)
        step = weights.metadata.get("step")
        if resumed:
            load_optimizer(resumed.files, optimizer_memory)
    ranks.copy_from_main([*network.get_parameters(), *optimizer_memory])
    if resumed:
        ignored = f"; checkpoint_options.existed_ckpt {existed!r} is not read" if existed else ""
        return f"resumed from {path}, step {resumed.state.step:,}{ignored}"
    return f"{path} (step {step}; this run begins at step 0 with a fresh optimizer)"


def _prepare_folder(folder: str, config: Config, records: RecordSet, text: TextProcessing | None,
                    resumed: Resumed | None) -> Checkpoints:
    """Make the run folder ready; what an earlier process left there of later steps is put aside."""
    make_output_folder(folder)
    if resumed and _continues_in(folder, resumed):
        step, prefix = resumed.state.step, config.checkpoint_options.ckpt_prefix
        later = [files for files in checkpoints_of(folder, prefix) if files.step > step]
        if later:
            set_aside(later)
            print(f"{len(later)} checkpoints of steps after {step} are now in {os.path.join(folder, SET_ASIDE)!r}",
                  flush=True)
        link_or_copy(resumed.files.weights, os.path.join(folder, LATEST))
    elif resumed:
        metrics = os.path.join(os.path.dirname(resumed.files.stem), TRAINING_METRICS_FILE)
        if os.path.isfile(metrics):
            copy_atomically(metrics, os.path.join(folder, TRAINING_METRICS_FILE))
    save_config(config, os.path.join(folder, "config.json"))
    if text:
        text.save(folder)
    return Checkpoints(folder, config, records.info.vocabulary, records.vocabulary_path)


def _continues_in(folder: str, resumed: Resumed) -> bool:
    """Whether the checkpoint stands in the run folder, not in another."""
    return os.path.realpath(os.path.dirname(resumed.files.stem)) == os.path.realpath(folder)


def _summary(config: Config, network: TransformerForTrain, data: TrainingData, records: RecordSet,
             valid_records: RecordSet | None, ranks: Ranks, state: TrainingState | None, weights_from: str,
             folder: str, operators: str) -> StartSummary:
    training, source = config.training_config, data.source
    device = training.device_target if training.device_target == "CPU" else \
        f"{training.device_target} {training.device_id}"
    return StartSummary(
        task="pre-training" if records.info.kind == "sentences" else "fine-tuning", device=device,
        precision=config.model_config.compute_type, operators=operators,
        world_size=ranks.world_size, accumulate=source.accumulate, model=config.model_config,
        sizes={weight.name: weight.size for weight in network.trainable_params()},
        weights_from=weights_from, vocabulary_path=records.vocabulary_path, train_paths=records.paths,
        train_examples=len(records), valid_paths=valid_records.paths if valid_records else (),
        valid_examples=len(valid_records) if valid_records else 0, shapes=source.plan.shapes,
        padding=source.padding(), steps_per_epoch=source.steps_per_epoch, first_step=state.step + 1 if state else 1,
        total_steps=planned_steps(config, source.steps_per_epoch), folder=folder)
