"""Which checkpoint a run goes on from, and whether it may."""
import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass

from mindspore import Parameter, Tensor

from config.config import Config
from src.checkpoints.write import COMMIT, STATE, WEIGHTS, CheckpointFiles, checkpoints_of
from src.checkpoints.training_state import DataIdentity, TrainingState
from src.common.errors import MassError, UsageError
from src.utils.load_weights import load_weights

# What may change between a run and its continuation; all else must be as it was.
MAY_CHANGE = {
    "dataset_config": {"epochs", "pre_train_dataset", "fine_tune_dataset", "test_dataset", "valid_dataset",
                       "dataset_sink_mode", "dataset_sink_step", "eval_batch_size", "accumulate_batches", "tokenizer",
                       "lower_case", "digits_to_hash", "bpe_codes"},
    "model_config": {"save_graphs", "beam_width", "length_penalty_weight", "max_decode_length", "min_decode_length",
                     "n_best", "no_repeat_ngram_size", "ban_unk", "copy_unk", "decode_strategy", "temperature",
                     "top_k", "top_p", "sampling_seed"},
    "checkpoint_options": {field.name for field in dataclasses.fields(Config().checkpoint_options)},
    "training_config": {field.name for field in dataclasses.fields(Config().training_config)},
}


@dataclass(frozen=True)
class Resumed:
    """Where a run goes on."""

    files: CheckpointFiles
    state: TrainingState


def find_resumed(where: str, folder: str, prefix: str) -> Resumed | None:
    """The checkpoint to go on from.

    Args:
        where: what --resume was given: a checkpoint, a folder, or "" for the run folder.
        folder: the run folder.
        prefix: checkpoint_options.ckpt_prefix.

    Returns:
        None if `where` is "" and the run folder holds no complete checkpoint yet: the run begins.

    Raises:
        MassError: what was asked for is not there or damaged, or no checkpoint of the folder is whole.
    """
    if where and not os.path.isdir(where):
        files = _named_checkpoint(where, prefix)
        return Resumed(files, files.read_state())
    found = _newest_whole(where or folder, prefix)
    if where and not found:
        raise MassError(f"--resume {where!r}: the folder holds no checkpoint {prefix}-<step> with its training state")
    return found


def require_same_run(resumed: Resumed, config: Config, data: DataIdentity) -> None:
    """Refuse to go on with another model, other data or another optimizer than the checkpoint's.

    Raises:
        UsageError: naming each key that differs, with both values.
    """
    earlier, differences = resumed.state.config, []
    for node in dataclasses.fields(config):
        old, new = getattr(earlier, node.name), getattr(config, node.name)
        for key in dataclasses.fields(new):
            values = getattr(old, key.name), getattr(new, key.name)
            if values[0] != values[1] and key.name not in MAY_CHANGE.get(node.name, ()):
                differences.append(f"{node.name}.{key.name} was {values[0]!r} and is {values[1]!r}")
    for name in ("kind", "examples", "symbols", "batches_per_step", "steps_per_epoch"):
        values = getattr(resumed.state.data, name), getattr(data, name)
        if values[0] != values[1] and not differences:  # the last two follow from keys as well
            differences.append(f"{DATA_NAMES[name]} was {values[0]} and is {values[1]}")
    if differences:
        raise UsageError(f"{resumed.files.weights!r} cannot be resumed with this configuration: "
                         f"{'; '.join(differences)}. Set it back, or start a new run from these weights with "
                         f"checkpoint_options.existed_ckpt")


DATA_NAMES = {"kind": "the kind of the training data", "examples": "the number of training examples",
              "symbols": "the number of symbols of the training data",
              "batches_per_step": "the number of batches a step (accumulate_batches times devices)",
              "steps_per_epoch": "the number of steps an epoch"}


def load_optimizer(files: CheckpointFiles, optimizer_state: Sequence[Parameter]) -> None:
    """Set the optimizer's memory from a checkpoint."""
    arrays = load_weights(files.state).arrays
    wanted = {parameter.name: tuple(parameter.shape) for parameter in optimizer_state}
    found = {name: array.shape for name, array in arrays.items()}
    if wanted != found:
        name = min(set(wanted.items()) ^ set(found.items()))[0]
        raise MassError(f"{files.state!r} does not hold the memory of this optimizer: {name} has shape "
                        f"{found.get(name)} there and {wanted.get(name)} here")
    for parameter in optimizer_state:
        parameter.set_data(Tensor(arrays[parameter.name], parameter.dtype))


def _named_checkpoint(path: str, prefix: str) -> CheckpointFiles:
    """The checkpoint one of whose files, or a copy of whose weights (`latest`, `best`), is `path`."""
    if not os.path.isfile(path):
        raise MassError(f"--resume {path!r} does not exist (looked in {os.getcwd()})")
    stem = path
    for ending in (COMMIT, STATE, WEIGHTS):
        if path.endswith(ending):
            stem = path.removesuffix(ending)
            break
    if not os.path.exists(stem + COMMIT):
        step = load_weights(path).metadata.get("step")
        stem = os.path.join(os.path.dirname(path), f"{prefix}-{step}")
    if not os.path.exists(stem + COMMIT):
        raise UsageError(f"--resume {path!r}: these are weights without a state of training ({prefix}-<step>{COMMIT}): "
                         f"start a new run from them with checkpoint_options.existed_ckpt, or resume from another")
    return CheckpointFiles(stem)


def _newest_whole(folder: str, prefix: str) -> Resumed | None:
    """The newest checkpoint that is whole; those that are damaged are reported."""
    damaged = False
    without_state = []
    for files in reversed(checkpoints_of(folder, prefix)):
        if not os.path.exists(files.commit):
            without_state.append(files)  # the run was killed while it wrote this one, or an old version wrote it
            continue
        try:
            return Resumed(files, files.read_state())
        except MassError as error:
            damaged = True
            print(f"warning: checkpoint {os.path.basename(files.stem)} is passed over: {error}", flush=True)
    if damaged or len(without_state) > 1:
        raise MassError(f"no checkpoint in {folder!r} can be resumed: they are damaged or were written without a state "
                        f"of training. Start a new run in another folder, from weights that are whole, with "
                        f"checkpoint_options.existed_ckpt")
    return None
