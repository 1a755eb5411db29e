"""Report on a quick start: both fine-tuned models side by side in a table, results.json, a picture of the losses."""
import argparse
import json
import os
import platform
import textwrap
from importlib.metadata import version
from typing import Any

from quickstart.loss_curves import draw_loss_curves
from src.common.errors import MassError, run
from src.common.files import atomic_output, require_file, require_folder
from src.common.text_files import read_lines
from src.utils.monitoring.metrics_file import TRAINING_METRICS_FILE, read_metrics
from src.utils.rouge_score import ROUGE_METRICS, rouge_scores

MODELS = {"mass": "MASS pre-trained", "scratch": "from scratch"}
TRAININGS = {"pretrain": "MASS pre-training", "finetune_mass": "fine-tuning, MASS pre-trained",
             "finetune_scratch": "fine-tuning, from scratch"}
LEAD_WORDS = 10
EXAMPLES = 5
MADE = {
    "corpus": "the text, one sentence a line", "subword": "BPE codes and vocabulary",
    "records": "the data sets", "pretrain": "pre-trained weights and their metrics.jsonl",
    "finetune_mass": "weights fine-tuned after pre-training", "finetune_scratch": "weights fine-tuned from scratch",
    "scores": "all answers and scores on the test split", "results.json": "the figures of this report",
    "loss_curves.png": "the picture of the losses",
}


def read_json(path: str) -> dict[str, Any]:
    require_file(path, "result of an earlier step")
    with open(path, encoding="utf-8") as stream:
        return json.load(stream)


def read_json_lines(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in read_lines(path)]


def read_histories(folder: str) -> dict[str, list[dict[str, Any]]]:
    """The lines of each training's metrics.jsonl, by the names of TRAININGS."""
    return {name: read_metrics(os.path.join(folder, name, TRAINING_METRICS_FILE)) for name in TRAININGS}


def gather(folder: str) -> dict[str, Any]:
    """Everything results.json holds, from the outputs of train.py and eval.py in a quick start's folder."""
    answers = {model: read_json_lines(os.path.join(folder, "scores", f"{model}_rouge", "predictions.jsonl"))
               for model in MODELS}
    mass, scratch = answers.values()
    if [(a["source"], a["target"]) for a in mass] != [(a["source"], a["target"]) for a in scratch]:
        raise MassError(f"the two models under {folder}/scores answered different test sets: remove that folder "
                        f"and run the quick start again")
    metrics = {(model, metric): read_json(os.path.join(folder, "scores", f"{model}_{metric}", "metrics.json"))
               for model in MODELS for metric in ("rouge", "ppl")}
    models = {model: {"ppl": metrics[model, "ppl"]["ppl"], "rouge": metrics[model, "rouge"]["rouge"]}
              for model in MODELS}
    lead = [" ".join(answer["source"].split()[:LEAD_WORDS]) for answer in mass]
    return {
        "test_pairs": len(mass),
        "models": models,
        "lead_baseline": {"words": LEAD_WORDS, "rouge": rouge_scores(lead, [answer["target"] for answer in mass])},
        "verdict": verdict(models["mass"], models["scratch"]),
        "signature": metrics["mass", "rouge"]["signature"],
        "training": {name: summarize(history) for name, history in read_histories(folder).items()},
        "examples": examples(mass, scratch),
        "versions": {"python": platform.python_version(), "mindspore": version("mindspore")},
    }


def summarize(metrics: list[dict[str, Any]]) -> dict[str, Any]:
    """Length, time and best validation of one training."""
    valid = [line["ppl"] for line in metrics if line["event"] == "valid"]
    return {"steps": metrics[-1]["step"], "seconds": metrics[-1]["seconds"],
            "best_valid_ppl": min(valid) if valid else None}


def examples(mass: list[dict[str, Any]], scratch: list[dict[str, Any]]) -> list[dict[str, str]]:
    """A few test pairs with both answers, evenly spread over the test set rather than picked."""
    count = min(EXAMPLES, len(mass))
    chosen = [(2 * i + 1) * len(mass) // (2 * count) for i in range(count)]
    return [{"source": mass[i]["source"], "reference": mass[i]["target"],
             "mass": mass[i]["prediction"], "scratch": scratch[i]["prediction"]} for i in chosen]


def verdict(mass: dict[str, Any], scratch: dict[str, Any]) -> list[str]:
    """Who is ahead by either measure, and whether the two agree."""
    ours, theirs = mass["ppl"]["subword"], scratch["ppl"]["subword"]
    lower, higher = sorted((ours, theirs))
    by_perplexity = MODELS["mass"] if ours < theirs else MODELS["scratch"]
    wins = [name for name in ROUGE_METRICS if mass["rouge"][name] > scratch["rouge"][name]]
    losses = [name for name in ROUGE_METRICS if mass["rouge"][name] < scratch["rouge"][name]]
    lines = [f"Perplexity: '{by_perplexity}' is ahead, {lower:.1f} against {higher:.1f} a subword "
             f"({1 - lower / higher:.0%} lower)."]
    if bool(wins) == bool(losses):
        found = f"'{MODELS['mass']}' leads on {', '.join(wins)} only" if wins else "they are equal"
        return [*lines, f"ROUGE: no winner ({found}); it does not confirm what perplexity says."]
    by_rouge = MODELS["mass"] if wins else MODELS["scratch"]
    lines.append(f"ROUGE: '{by_rouge}' is ahead on {', '.join(wins or losses)}.")
    if by_rouge != by_perplexity:
        lines.append("The two measures DISAGREE about which model is better. At this scale they need not agree: "
                     "perplexity rates every word of the reference, ROUGE only the words of one short answer.")
    return lines


def table(results: dict[str, Any]) -> str:
    """The final table."""
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
    print(f"\nTest split, {results['test_pairs']} pairs: the description of a thing -> its one-sentence summary\n")
    print(table(results) + "\n")
    print("\n".join(results["verdict"]))
    print(f"({results['signature']})\n\nMade:")
    width = max(len(os.path.join(folder, name)) for name in MADE)
    for name, meaning in MADE.items():
        print(f"  {os.path.join(folder, name):{width}}  {meaning}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m quickstart.report", description=__doc__)
    parser.add_argument("--run_folder", required=True, help="folder of the quick start, with the outputs of its steps")
    folder = require_folder(parser.parse_args().run_folder, "run folder")
    results = gather(folder)
    draw_loss_curves({TRAININGS[name]: history for name, history in read_histories(folder).items()},
                     os.path.join(folder, "loss_curves.png"))
    with atomic_output(os.path.join(folder, "results.json")) as path, open(path, "w", encoding="utf-8") as stream:
        json.dump(results, stream, indent=2, ensure_ascii=False)
        stream.write("\n")
    print_report(results, folder)


if __name__ == "__main__":
    run(main)
