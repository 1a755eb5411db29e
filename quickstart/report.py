"""The report of the quick start: a table of both fine-tuned models, results.json, and a plot of the losses."""
import json
import math
import os
import platform
import textwrap
from importlib.metadata import version
from typing import Any

from quickstart.loss_curves import draw_loss_curves
from src.common.arguments import CommandLineParser
from src.common.errors import MassError, run
from src.common.files import atomic_output, require_file, require_folder
from src.common.json_output import json_text
from src.common.text_files import read_lines
from src.utils.monitoring.metrics_file import TRAINING_METRICS_FILE, read_metrics
from src.utils.rouge_score import ROUGE_METRICS, rouge_scores

MODELS = {"mass": "MASS pre-trained", "scratch": "from scratch"}
TRAININGS = {"pretrain": "MASS pre-training", "finetune_mass": "fine-tuning, MASS pre-trained",
             "finetune_scratch": "fine-tuning, from scratch"}
LEAD_WORDS = 10
EXAMPLES = 5
OUTPUTS = {
    "corpus": "the text, one sentence per line", "subword": "BPE codes and vocabulary",
    "records": "the data sets", "pretrain": "pre-trained weights and their metrics.jsonl",
    "finetune_mass": "weights fine-tuned after pre-training", "finetune_scratch": "weights fine-tuned from scratch",
    "scores": "all predictions and scores on the test split", "results.json": "the figures of this report",
    "loss_curves.png": "the plot of the losses",
}


def read_json(path: str) -> dict[str, Any]:
    require_file(path, "result of an earlier step")
    with open(path, encoding="utf-8") as stream:
        return json.load(stream)


def read_json_lines(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in read_lines(path)]


def read_histories(folder: str) -> dict[str, list[dict[str, Any]]]:
    """Read the lines of metrics.jsonl of each training in TRAININGS."""
    return {name: read_metrics(os.path.join(folder, name, TRAINING_METRICS_FILE)) for name in TRAININGS}


def collect_results(folder: str) -> dict[str, Any]:
    """Return the content of results.json, from the outputs of train.py and eval.py in the folder of a quick start."""
    predictions = {model: read_json_lines(os.path.join(folder, "scores", f"{model}_rouge", "predictions.jsonl"))
                   for model in MODELS}
    mass, scratch = predictions.values()
    if [(a["source"], a["target"]) for a in mass] != [(a["source"], a["target"]) for a in scratch]:
        raise MassError(f"the two models in {folder}/scores were scored on different test sets: remove that "
                        f"folder and run the quick start again")
    metrics = {(model, metric): read_json(os.path.join(folder, "scores", f"{model}_{metric}", "metrics.json"))
               for model in MODELS for metric in ("rouge", "ppl")}
    models = {model: {"ppl": _numbers(metrics[model, "ppl"]["ppl"]), "rouge": metrics[model, "rouge"]["rouge"]}
              for model in MODELS}
    lead = [" ".join(line["source"].split()[:LEAD_WORDS]) for line in mass]
    return {
        "test_pairs": len(mass),
        "models": models,
        "lead_baseline": {"words": LEAD_WORDS, "rouge": rouge_scores(lead, [line["target"] for line in mass])},
        "verdict": verdict(models["mass"], models["scratch"]),
        "signature": metrics["mass", "rouge"]["signature"],
        "training": {name: summarize(history) for name, history in read_histories(folder).items()},
        "examples": examples(mass, scratch),
        "versions": {"python": platform.python_version(), "mindspore": version("mindspore")},
    }


def _numbers(scores: dict[str, float | None]) -> dict[str, float]:
    """Return scores of metrics.json, in which null stands for a number that is not finite."""
    return {name: math.nan if value is None else value for name, value in scores.items()}


def summarize(metrics: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the number of steps, the time and the best validation perplexity of a training."""
    valid = [line["ppl"] for line in metrics if line["event"] == "valid"]
    return {"steps": metrics[-1]["step"], "seconds": metrics[-1]["seconds"],
            "best_valid_ppl": min(valid) if valid else None}


def examples(mass: list[dict[str, Any]], scratch: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return a few test pairs with both predictions; they are evenly spread over the test set, not selected."""
    count = min(EXAMPLES, len(mass))
    chosen = [(2 * i + 1) * len(mass) // (2 * count) for i in range(count)]
    return [{"source": mass[i]["source"], "reference": mass[i]["target"],
             "mass": mass[i]["prediction"], "scratch": scratch[i]["prediction"]} for i in chosen]


def verdict(mass: dict[str, Any], scratch: dict[str, Any]) -> list[str]:
    """Return lines that say which model is better by either metric, and whether the metrics agree."""
    ours, theirs = mass["ppl"]["subword"], scratch["ppl"]["subword"]
    lower, higher = sorted((ours, theirs))
    by_perplexity = MODELS["mass"] if ours < theirs else MODELS["scratch"]
    wins = [name for name in ROUGE_METRICS if mass["rouge"][name] > scratch["rouge"][name]]
    losses = [name for name in ROUGE_METRICS if mass["rouge"][name] < scratch["rouge"][name]]
    lines = [f"Perplexity: '{by_perplexity}' is better, {lower:.1f} against {higher:.1f} per subword "
             f"({1 - lower / higher:.0%} lower)."]
    if bool(wins) == bool(losses):
        found = f"'{MODELS['mass']}' is better on {', '.join(wins)} only" if wins else "they are equal"
        return [*lines, f"ROUGE: no clear result ({found}); it does not confirm the result by perplexity."]
    by_rouge = MODELS["mass"] if wins else MODELS["scratch"]
    lines.append(f"ROUGE: '{by_rouge}' is better on {', '.join(wins or losses)}.")
    if by_rouge != by_perplexity:
        lines.append("The two metrics DISAGREE about which model is better. At this scale this can happen: "
                     "perplexity rates every word of the reference, ROUGE only the words of one short prediction.")
    return lines


def table(results: dict[str, Any]) -> str:
    """Return the table of results."""
    rows = [f"{'':20}{'perplexity per':>18}{'ROUGE (F1 x 100)':>24}",
            f"{'':20}{'subword':>9}{'word':>9}{'1':>10}{'2':>7}{'L':>7}"]
    for model, label in MODELS.items():
        figures = results["models"][model]
        rows.append(f"{label:20}{figures['ppl']['subword']:9.1f}{figures['ppl']['word']:9.1f}   {rouge(figures)}")
    baseline = results["lead_baseline"]
    rows.append(f"{'first ' + str(baseline['words']) + ' words':20}{'-':>9}{'-':>9}   {rouge(baseline)}")
    return "\n".join(rows)


def rouge(figures: dict[str, Any]) -> str:
    return "".join(f"{figures['rouge'][name]:7.2f}" for name in ROUGE_METRICS)


def print_report(results: dict[str, Any], folder: str) -> None:
    for number, example in enumerate(results["examples"], start=1):
        print(f"\nExample {number} of {len(results['examples'])}")
        for key, label in (("source", "source"), ("reference", "reference"), *MODELS.items()):
            print(textwrap.fill(example[key], 120, initial_indent=f"{label:>16}: ", subsequent_indent=" " * 18)
                  or f"{label:>16}: (empty)")
    print("\nTraining")
    for name, label in TRAININGS.items():
        figures = results["training"][name]
        best = figures["best_valid_ppl"]
        print(f"  {label:32}{figures['steps']:7} steps{figures['seconds']:8.0f} s"
              + (f"   best validation perplexity {best:.1f}" if best else ""))
    print(f"\nTest split, {results['test_pairs']} pairs: description -> one-sentence summary\n")
    print(table(results) + "\n")
    print("\n".join(results["verdict"]))
    print(f"({results['signature']})\n\nOutputs:")
    width = max(len(os.path.join(folder, name)) for name in OUTPUTS)
    for name, meaning in OUTPUTS.items():
        print(f"  {os.path.join(folder, name):{width}}  {meaning}")


def main() -> None:
    parser = CommandLineParser(prog="python -m quickstart.report", description=__doc__)
    parser.add_argument("--run_folder", required=True, help="folder of the quick start with the outputs of its steps")
    folder = require_folder(parser.parse_args().run_folder, "run folder")
    results = collect_results(folder)
    draw_loss_curves({TRAININGS[name]: history for name, history in read_histories(folder).items()},
                     os.path.join(folder, "loss_curves.png"))
    with atomic_output(os.path.join(folder, "results.json")) as path, open(path, "w", encoding="utf-8") as stream:
        stream.write(json_text(results, indent=2) + "\n")
    print_report(results, folder)


if __name__ == "__main__":
    run(main)
