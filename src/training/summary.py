"""The summary that is printed before the first step of a run."""
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from config.config import Config, ModelConfig
from src.dataset.batching.batch import Shape
from src.training.assembly import TrainableNetwork
from src.training.data import TrainingData
from src.training.loop import planned_steps
from src.transformer.operators.number_format import NumberFormat
from src.utils.lr_scheduler import schedule_warnings


@dataclass(frozen=True)
class StartSummary:
    """The facts about a run that are known before its first step."""

    task: str  # "pre-training" or "fine-tuning"
    device: str  # "CPU", "GPU 3"
    number_format: NumberFormat  # of the matrix products
    operators: str  # which ones, and why
    world_size: int
    accumulate: int  # batches that each device accumulates for one step
    model: ModelConfig
    sizes: Mapping[str, int]  # number of elements of each weight
    weights_from: str  # "new, seed 100", "PATH, ..." or "resumed from PATH, step 7"
    vocabulary_path: str
    train_paths: Sequence[str]
    train_examples: int
    valid_paths: Sequence[str]  # may be empty
    valid_examples: int
    shapes: Sequence[Shape]
    padding: float  # as a share of all positions
    steps_per_epoch: int
    first_step: int
    total_steps: int
    folder: str
    warnings: Sequence[str] = ()  # about the learning rate


def summarize_run(config: Config, trainable: TrainableNetwork, data: TrainingData, steps_done: int, weights_from: str,
                  folder: str) -> StartSummary:
    """Collect the facts about a run.

    Args:
        steps_done: the number of steps before the one that comes first; above 0 if the run is resumed.
        weights_from: a description of where the weights come from.
        folder: the run folder.
    """
    steps = planned_steps(config, data.source.steps_per_epoch)
    training, source, valid = config.training_config, data.source, data.valid_records
    device = training.device_target
    return StartSummary(
        task="pre-training" if data.records.info.kind == "sentences" else "fine-tuning",
        device=device if device == "CPU" else f"{device} {training.device_id}",
        number_format=trainable.number_format, operators=trainable.operators, world_size=source.world_size,
        accumulate=source.accumulate, model=config.model_config,
        sizes={weight.name: weight.size for weight in trainable.network.trainable_params()},
        weights_from=weights_from, vocabulary_path=data.records.vocabulary_path, train_paths=data.records.paths,
        train_examples=len(data.records), valid_paths=valid.paths if valid else (),
        valid_examples=len(valid) if valid else 0, shapes=source.plan.shapes, padding=source.padding(),
        steps_per_epoch=source.steps_per_epoch, first_step=steps_done + 1,
        total_steps=steps, folder=folder, warnings=schedule_warnings(config.learn_rate_config, steps))


def start_text(summary: StartSummary) -> str:
    """Return the summary as lines that begin with their subject."""
    lines = {
        "task": f"{summary.task} on {_devices(summary)}, {summary.number_format.compute_type}",
        "products": f"in {summary.number_format}",
        "operators": summary.operators,
        "model": _model(summary.model),
        "size": _size(summary.sizes),
        "weights": summary.weights_from,
        "vocabulary": f"{summary.vocabulary_path}, {summary.model.vocab_size:,} tokens",
        "training": f"{summary.train_examples:,} {_examples(summary)} of {_some(summary.train_paths)}",
        "validation": (f"{summary.valid_examples:,} {_examples(summary)} of {_some(summary.valid_paths)}"
                       if summary.valid_paths else "none (dataset_config.valid_dataset is empty)"),
        "batches": _batches(summary),
        "steps": _steps(summary),
        "output": summary.folder,
    }
    shown = [*lines.items(), *(("warning", text) for text in summary.warnings)]
    return "\n".join(f"{subject:<11} {text}" for subject, text in shown)


def sizes_by_part(sizes: Mapping[str, int]) -> dict[str, int]:
    """Return the number of weights in each part of the network; the name of a weight begins with that of its part."""
    parts: Counter[str] = Counter()
    for name, size in sizes.items():
        parts[name.split(".", 1)[0]] += size
    return dict(parts)


def _devices(summary: StartSummary) -> str:
    return summary.device if summary.world_size == 1 else f"{summary.device} and {summary.world_size - 1} more"


def _model(model: ModelConfig) -> str:
    return (f"{model.num_hidden_layers}+{model.num_hidden_layers} layers, hidden {model.hidden_size}, feed-forward "
            f"{model.intermediate_size}, {model.num_attention_heads} heads, dropout {model.hidden_dropout_prob:g}, "
            f"label smoothing {model.label_smoothing:g}")


def _size(sizes: Mapping[str, int]) -> str:
    total = sum(sizes.values())
    parts = ", ".join(f"{part} {size:,}" for part, size in sizes_by_part(sizes).items())
    return f"{total:,} weights ({parts}), {4 * total / 2**20:,.1f} MiB in float32"


def _examples(summary: StartSummary) -> str:
    return "sentences" if summary.task == "pre-training" else "pairs"


def _batches(summary: StartSummary) -> str:
    shapes = ", ".join(f"{rows} x ({source_len} + {target_len})" for rows, source_len, target_len in summary.shapes)
    return (f"rows x (source + target): {shapes}; each shape is compiled at its first use; "
            f"{summary.padding:.1%} padding")


def _steps(summary: StartSummary) -> str:
    batches = summary.world_size * summary.accumulate
    per_step = (f", each of {batches} batches ({summary.accumulate} on each of {summary.world_size} devices)"
                if batches > 1 else "")
    first = f", from step {summary.first_step:,} on" if summary.first_step > 1 else ""
    return (f"{summary.total_steps:,} ({summary.total_steps / summary.steps_per_epoch:.2f} epochs of "
            f"{summary.steps_per_epoch:,}){first}{per_step}")


def _some(paths: Sequence[str]) -> str:
    return f"{paths[0]} and {len(paths) - 1} more files" if len(paths) > 2 else " and ".join(paths)
