"""What a training tells before its first step."""
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from config.config import ModelConfig
from src.dataset.batching.batch import Shape


@dataclass(frozen=True)
class StartSummary:
    """All that is known when a training starts."""

    task: str  # "pre-training" or "fine-tuning"
    device: str  # "CPU", "GPU 3"
    precision: str  # of the matrix products: "float32"
    operators: str  # which form of them, and why
    world_size: int
    accumulate: int  # batches that each device gathers for one step
    model: ModelConfig
    sizes: Mapping[str, int]  # elements of each weight
    weights_from: str  # "new, seed 100", "PATH, ..." or "resumed from PATH, step 7"
    vocabulary_path: str
    train_paths: Sequence[str]
    train_examples: int
    valid_paths: Sequence[str]  # may be empty
    valid_examples: int
    shapes: Sequence[Shape]
    padding: float  # share of all positions
    steps_per_epoch: int
    first_step: int
    total_steps: int
    folder: str


def start_text(summary: StartSummary) -> str:
    """The summary in lines, each with its subject first."""
    lines = {
        "task": f"{summary.task} on {_devices(summary)}, {summary.precision}",
        "operators": summary.operators,
        "model": _model(summary.model),
        "size": _size(summary.sizes),
        "weights": summary.weights_from,
        "vocabulary": f"{summary.vocabulary_path}, {summary.model.vocab_size:,} symbols",
        "training": f"{summary.train_examples:,} {_examples(summary)} of {_some(summary.train_paths)}",
        "validation": (f"{summary.valid_examples:,} {_examples(summary)} of {_some(summary.valid_paths)}"
                       if summary.valid_paths else "none (dataset_config.valid_dataset is empty)"),
        "batches": _batches(summary),
        "steps": _steps(summary),
        "output": summary.folder,
    }
    return "\n".join(f"{subject:<11} {text}" for subject, text in lines.items())


def sizes_by_part(sizes: Mapping[str, int]) -> dict[str, int]:
    """Elements of the weights of each part of the network; a weight's name begins with that of its part."""
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
    gathered = (f", each of {batches} batches ({summary.accumulate} on each of {summary.world_size} devices)"
                if batches > 1 else "")
    first = f", from step {summary.first_step:,} on" if summary.first_step > 1 else ""
    return (f"{summary.total_steps:,} ({summary.total_steps / summary.steps_per_epoch:.2f} epochs of "
            f"{summary.steps_per_epoch:,}){first}{gathered}")


def _some(paths: Sequence[str]) -> str:
    return f"{paths[0]} and {len(paths) - 1} more files" if len(paths) > 2 else " and ".join(paths)
