"""The start of a run: where its weights come from, and its folder."""
import os
from dataclasses import replace

from config.config import Config
from config.loading import save_config
from src.checkpoints.compatibility import VocabularyUse
from src.checkpoints.files import CONFIG_FILE, CheckpointFiles, require_folder_for_run, require_no_run
from src.checkpoints.load import load_into, load_optimizer_state
from src.checkpoints.resume import ResumePoint, find_resume_point
from src.checkpoints.run_folder import restore_run_folder
from src.checkpoints.training_state import DataIdentity, TrainingState
from src.checkpoints.validation_history import ValidationHistory
from src.checkpoints.write import CheckpointWriter
from src.common.files import make_output_folder
from src.dataset.records.record_set import RecordSet
from src.runtime.distributed import Ranks
from src.text.text_processing import TextProcessing
from src.training.assembly import TrainableNetwork
from src.transformer.decoding.options import SearchOptions


def choose_resume_point(resume: str | None, folder: str, config: Config, ranks: Ranks) -> ResumePoint | None:
    """Return the checkpoint to resume from, the same on all ranks; only the main rank must see its folder.

    Args:
        resume: the argument of --resume, "" for the run folder; None starts a new run.
        folder: the run folder.

    Raises:
        UsageError: the run starts anew or from another folder, but the run folder holds an earlier run.
        MassError: the named checkpoint is missing or damaged.
    """
    found = None
    if ranks.main:
        require_folder_for_run(folder)
        if resume is not None:
            found = find_resume_point(resume, folder, config.checkpoint_options.ckpt_prefix)
            if not found:
                print(f"--resume: {folder!r} holds no checkpoint yet: a new run begins", flush=True)
        if resume is None or (found and not found.is_in(folder)):
            require_no_run(folder)
    if resume is None:
        return None
    text = f"{found.files.stem}\n{found.state.to_json()}" if found else ""
    text = ranks.broadcast(text.encode(errors="surrogateescape")).decode(errors="surrogateescape")
    if not text:
        return None
    stem, _, state = text.partition("\n")
    return ResumePoint(CheckpointFiles(stem), TrainingState.from_json(state)[0])


def load_start(config: Config, trainable: TrainableNetwork, resumed: ResumePoint | None, records: RecordSet,
               ranks: Ranks) -> str:
    """Set the weights and, of a resumed run, the optimizer state; return a description of where they come from.

    Without a resume point and existed_ckpt, the weights stay as they were initialized. The main rank reads the files
    and broadcasts their content.
    """
    existed, model = config.checkpoint_options.existed_ckpt, config.model_config
    if not (resumed or existed):
        return f"new, seed {model.random_seed}"
    path = resumed.files.weights if resumed else existed
    step = None
    if ranks.main:
        weights = load_into(trainable.network, path, model, VocabularyUse.of_records(records))
        step = weights.metadata.get("step")
        if resumed:
            load_optimizer_state(resumed.files.optimizer_state, trainable.optimizer_state)
    ranks.broadcast_parameters([*trainable.network.get_parameters(), *trainable.optimizer_state])
    if resumed:
        ignored = f"; checkpoint_options.existed_ckpt {existed!r} is not read" if existed else ""
        return f"resumed from {path}, step {resumed.state.step:,}{ignored}"
    return f"{path} (step {step}; this run begins at step 0 with a new optimizer)"


def with_comparable_validations(resumed: ResumePoint, config: Config, data: DataIdentity) -> ResumePoint:
    """Return a resume point without the best validation if the validations to come cannot be compared with it.

    They cannot if the validation data have changed, or, where ROUGE decides, the sample or the search.
    """
    state, history = resumed.state, resumed.state.validation
    before, now = state.config, config
    same = (state.data.valid_examples, state.data.valid_tokens) == (data.valid_examples, data.valid_tokens)
    if now.training_config.best_metric != "perplexity":
        same = (same and before.training_config.valid_rouge_sentences == now.training_config.valid_rouge_sentences
                and SearchOptions.from_config(before.model_config) == SearchOptions.from_config(now.model_config))
    if same or history.best_step is None:
        return resumed
    return replace(resumed, state=replace(state, validation=ValidationHistory(last_step=history.last_step)))


def prepare_folder(folder: str, config: Config, records: RecordSet, text: TextProcessing | None,
                   resumed: ResumePoint | None) -> CheckpointWriter:
    """Prepare the run folder and return the writer of its checkpoints.

    A resumed run finds it as it was at the checkpoint, see `restore_run_folder`.
    """
    make_output_folder(folder)
    if resumed:
        for line in restore_run_folder(folder, config.checkpoint_options.ckpt_prefix, resumed):
            print(line, flush=True)
    save_config(config, os.path.join(folder, CONFIG_FILE))
    if text:
        text.save(folder)
    return CheckpointWriter(folder, config, records.info.vocabulary, records.vocabulary_path)
