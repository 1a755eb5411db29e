"""Training from a configuration: everything is checked and put together, then the loop runs."""
from contextlib import nullcontext

from config.config import Config
from src.checkpoints.compatibility import require_same_run, with_vocabulary_of
from src.checkpoints.files import BEST, require_folder_for_run
from src.common.folder_lock import locked_folder
from src.runtime.device import require_compute_type, set_up_device
from src.runtime.distributed import Ranks, join_ranks
from src.runtime.memory import require_memory
from src.training.assembly import assemble_network, run_training
from src.training.data import find_run_text_processing, load_training_data
from src.training.loop import TrainingResult
from src.training.start import choose_resume_point, load_start, prepare_folder, with_comparable_validations
from src.training.summary import start_text, summarize_run


def train(config: Config, run_folder: str, resume: str | None = None) -> TrainingResult:
    """Pre-train or fine-tune, as the configuration says, alone or as one of the processes that msrun has started.

    Args:
        config: the configuration.
        run_folder: the folder for checkpoints, `metrics.jsonl` and `config.json` if checkpoint_options.ckpt_path is
            empty.
        resume: None starts a new run. "" resumes from the newest checkpoint of the run folder, or starts a new run if
            there is none yet. A path resumes from that checkpoint, or from the newest one of that folder.

    Raises:
        UsageError: the configuration does not fit the data or the resumed run, or the folder holds an earlier run.
        MassError: data or checkpoints are missing or damaged, the device is not available, another process
            writes into the run folder, or training diverges.
    """
    set_up_device(config)
    ranks = join_ranks(config.training_config.device_target)
    folder = config.checkpoint_options.ckpt_path or run_folder
    if ranks.main:
        require_folder_for_run(folder)
    with locked_folder(folder) if ranks.main else nullcontext():
        return _train_in(folder, config, resume, ranks)


def _train_in(folder: str, config: Config, resume: str | None, ranks: Ranks) -> TrainingResult:
    """Train with a run folder that the main rank has locked."""
    data = load_training_data(config, ranks)
    config = with_vocabulary_of(config, data.records)
    require_memory(config)
    require_compute_type(config)

    resumed = choose_resume_point(resume, folder, config, ranks)
    if resumed:
        require_same_run(resumed.files.weights, resumed.state, config, data.identity)
    start = resumed.files.weights if resumed else config.checkpoint_options.existed_ckpt
    text = find_run_text_processing(config, data.records, start) if ranks.main else None

    steps_done = resumed.state.step if resumed else 0
    trainable = assemble_network(config, ranks, steps_done)
    weights_from = load_start(config, trainable, resumed, data.records, ranks)
    writer = prepare_folder(folder, config, data.records, text, resumed) if ranks.main else None
    if ranks.main:
        print(start_text(summarize_run(config, trainable, data, steps_done, weights_from, folder)), flush=True)
    if resumed:
        comparable = with_comparable_validations(resumed, config, data.identity)
        if comparable != resumed and ranks.main:
            print(f"the validation data, or the search that ROUGE is measured with, have changed since step "
                  f"{steps_done}: earlier validations do not count for {BEST} and patience any more", flush=True)
        resumed = comparable
    return run_training(config, trainable, data, writer, folder, ranks, resumed)
