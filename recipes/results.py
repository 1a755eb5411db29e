"""The content of results.json: the figures of all trainings and models of a recipe, and how they were made."""
import glob
import math
import os
import platform
import shlex
import statistics
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from config.config import ModelConfig
from config.loading import load_config
from recipes.recipe import Recipe
from recipes.run_layout import PAIRS, PRETRAIN, PRETRAIN_VALID, RECORDS, REUSE, SCORES, finetuned, scores_folder
from recipes.steps import is_finished
from src.checkpoints.files import CONFIG_FILE
from src.common.errors import MassError
from src.common.files import require_file
from src.common.json_files import parse_json, read_json
from src.common.text_files import read_lines
from src.inference.evaluation.metrics.rouge import Rouge
from src.inference.output import METRICS_FILE
from src.utils.monitoring.metrics_file import TRAINING_METRICS_FILE, read_metrics
from src.utils.rouge_score import ROUGE_METRICS, rouge_scores

STARTS = {"mass": "MASS pre-trained", "scratch": "from scratch"}
EXAMPLES = 5
PREDICTIONS_FILE = Rouge.default_output
_NETWORK = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size")

Models = Mapping[str, Sequence[str]]  # the names of the fine-tuned models by how they started, one for each seed


def collect_results(recipe: Recipe, folder: str, models: Models, commands: Sequence[Sequence[str]] = ()
                    ) -> dict[str, Any]:
    """Return the content of results.json, from the outputs of the scripts in a run folder, which `commands` made.

    Raises:
        MassError: an output is missing, or the models were scored on different test sets.
    """
    first = {start: names[0] for start, names in models.items()}
    predictions = {start: _predictions(folder, name) for start, name in first.items()}
    mass, scratch = predictions["mass"], predictions["scratch"]
    if [(a["source"], a["target"]) for a in mass] != [(a["source"], a["target"]) for a in scratch]:
        raise MassError(f"the two models in {folder}/{SCORES} were scored on different test sets: remove that "
                        f"folder and run the recipe again")
    scores = {start: combine({name: scores_of(folder, name) for name in names}) for start, names in models.items()}
    model = load_config(os.path.join(folder, finetuned(first["mass"]), CONFIG_FILE)).model_config
    return {
        "recipe": recipe.name,
        "command": shlex.join(sys.argv),
        "commands": [shlex.join(command) for command in commands],
        "data": _data(folder, pretrained_here=not is_finished(folder, REUSE)),
        "model": _network(model),
        "test_pairs": len(mass),
        "models": scores,
        "lead_baseline": _lead_baseline(recipe.lead_words, mass) if recipe.lead_words else None,
        "verdict": verdict(scores["mass"], scores["scratch"]),
        "signatures": {start: _metrics(folder, name, "rouge")["signature"] for start, name in first.items()},
        "training": {name: summarize(read_history(folder, name)) for name in training_names(models)},
        "examples": examples(mass, scratch),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "versions": {"python": platform.python_version(), "mindspore": version("mindspore")},
    }


def training_names(models: Models) -> list[str]:
    """Return the folders of all trainings of a recipe, pre-training first."""
    return [PRETRAIN, *(finetuned(name) for names in models.values() for name in names)]


def read_history(folder: str, training: str) -> list[dict[str, Any]]:
    """Return the entries of a training's metrics.jsonl."""
    return read_metrics(os.path.join(folder, training, TRAINING_METRICS_FILE))


def scores_of(folder: str, name: str) -> dict[str, Any]:
    """Return perplexities and ROUGE of a model on the test pairs, with their 95% intervals."""
    found = {metric: _metrics(folder, name, metric) for metric in ("ppl", "rouge")}
    return {"ppl": {key: math.nan if value is None else float(value) for key, value in found["ppl"]["ppl"].items()},
            "rouge": found["rouge"]["rouge"], "ppl_interval": found["ppl"].get("ppl_interval"),
            "rouge_interval": found["rouge"].get("rouge_interval")}


def combine(runs: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the means over the runs (of several seeds), the standard deviations, and each run."""
    combined: dict[str, Any] = {}
    for metric in ("ppl", "rouge"):
        names = next(iter(runs.values()))[metric]
        values = {name: [run[metric][name] for run in runs.values()] for name in names}
        combined[metric] = {name: statistics.fmean(found) for name, found in values.items()}
        combined[f"{metric}_deviation"] = ({name: _deviation(found) for name, found in values.items()}
                                           if len(runs) > 1 else None)
    return {**combined, "runs": dict(runs)}


def _deviation(values: Sequence[float]) -> float:
    """Return the standard deviation, not a number if one of the values is not finite."""
    return statistics.stdev(values) if all(map(math.isfinite, values)) else math.nan


def summarize(history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the number of steps, the time and the best validation of a training."""
    valid = [entry for entry in history if entry["event"] == "valid"]
    best = [entry for entry in valid if entry.get("best")]
    return {"steps": history[-1]["step"], "seconds": history[-1]["seconds"],
            "best_valid_ppl": min((entry["ppl"] for entry in valid if entry["ppl"] is not None), default=None),
            "best_step": best[-1]["step"] if best else None}


def verdict(mass: Mapping[str, Any], scratch: Mapping[str, Any]) -> list[str]:
    """Return lines that say which model is better by either metric, and whether the metrics agree."""
    ours, theirs = mass["ppl"]["subword"], scratch["ppl"]["subword"]
    lower, higher = sorted((ours, theirs))
    by_perplexity = STARTS["mass"] if ours < theirs else STARTS["scratch"]
    wins = [name for name in ROUGE_METRICS if mass["rouge"][name] > scratch["rouge"][name]]
    losses = [name for name in ROUGE_METRICS if mass["rouge"][name] < scratch["rouge"][name]]
    lines = [f"Perplexity: '{by_perplexity}' is better, {lower:.1f} against {higher:.1f} per subword "
             f"({1 - lower / higher:.0%} lower)."]
    if bool(wins) == bool(losses):
        found = f"'{STARTS['mass']}' is better on {', '.join(wins)} only" if wins else "they are equal"
        return [*lines, f"ROUGE: no clear result ({found}); it does not confirm the result by perplexity."]
    by_rouge = STARTS["mass"] if wins else STARTS["scratch"]
    lines.append(f"ROUGE: '{by_rouge}' is better on {', '.join(wins or losses)}.")
    if by_rouge != by_perplexity:
        lines.append("The two metrics DISAGREE about which model is better. At this scale this can happen: "
                     "perplexity rates every word of the reference, ROUGE only the words of one short prediction.")
    return lines


def examples(mass: Sequence[Mapping[str, Any]], scratch: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return a few test pairs with both predictions; they are evenly spread over the test set, not selected."""
    count = min(EXAMPLES, len(mass))
    chosen = [(2 * i + 1) * len(mass) // (2 * count) for i in range(count)]
    return [{"source": mass[i]["source"], "reference": mass[i]["target"],
             "mass": mass[i]["prediction"], "scratch": scratch[i]["prediction"]} for i in chosen]


def _metrics(folder: str, name: str, metric: str) -> dict[str, Any]:
    path = os.path.join(folder, scores_folder(name, metric), METRICS_FILE)
    return read_json(require_file(path, "result of an earlier step"))


def _predictions(folder: str, name: str) -> list[dict[str, Any]]:
    path = os.path.join(folder, scores_folder(name, "rouge"), PREDICTIONS_FILE)
    require_file(path, "result of an earlier step")
    return [parse_json(line) for line in read_lines(path)]


def _data(folder: str, pretrained_here: bool) -> dict[str, Any]:
    """Return the numbers of examples and tokens of the data sets; those of another run's pre-training are not known."""
    found: dict[str, Any] = {}
    for part in (*((PRETRAIN, PRETRAIN_VALID) if pretrained_here else ()), PAIRS):
        for path in sorted(glob.glob(os.path.join(glob.escape(os.path.join(folder, RECORDS, part)), "*.json"))):
            info = read_json(path)
            name = f"{part}_{info['split']}" if part == PAIRS else part
            entry = found.setdefault(name, {"examples": 0, "tokens": 0})
            entry["examples"] += info["kept"]
            entry["tokens"] += sum(info["tokens"].values())
    return found


def _network(model: ModelConfig) -> dict[str, int]:
    return {name: getattr(model, name) for name in _NETWORK}


def _lead_baseline(words: int, predictions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    lead = [" ".join(line["source"].split()[:words]) for line in predictions]
    return {"words": words, "rouge": rouge_scores(lead, [line["target"] for line in predictions])}


def _processor() -> str:
    """Return the name of the processor."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            return next(line.split(":", 1)[1].strip() for line in stream if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
