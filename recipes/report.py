"""The report of a recipe: examples, a table of all models, results.json, and a plot of the losses."""
import os
import textwrap
from collections.abc import Sequence
from typing import Any

from recipes.loss_curves import draw_loss_curves
from recipes.recipe import Recipe
from recipes.results import STARTS, Models, collect_results, read_history, training_names
from recipes.run_layout import (
    CURVES_FILE,
    PAGE_FILE,
    PRETRAIN,
    RECORDS,
    RESULTS_FILE,
    SCORES,
    SUBWORD,
    TEXT,
    finetuned,
    model_of,
    scores_folder,
)
from src.common.errors import MassError
from src.common.files import require_file
from src.common.json_files import describe_error, read_json
from src.common.json_output import write_json_text
from src.utils.rouge_score import ROUGE_METRICS

_READ = {"recipe", "command", "commands", "training", "models"}  # the entries of results.json that other programs read
OUTPUTS = {
    TEXT: "the text, one sentence per line", SUBWORD: "BPE codes and vocabulary",
    RECORDS: "the data sets", PRETRAIN: "pre-trained weights and their metrics.jsonl",
    finetuned("{mass}"): "weights fine-tuned after pre-training",
    finetuned("{scratch}"): "weights fine-tuned from scratch",
    SCORES: "all predictions and scores on the test split",
    os.path.join(scores_folder("{mass}", "rouge"), PAGE_FILE): "a page with examples and pictures of the attention",
    RESULTS_FILE: "the figures of this report", CURVES_FILE: "the plot of the losses",
}


def make_report(recipe: Recipe, folder: str, models: Models, commands: Sequence[Sequence[str]]) -> None:
    """Write results.json and the plot of the losses into a run folder, and print the report.

    Raises:
        MassError: see `collect_results`.
    """
    results = collect_results(recipe, folder, models, commands)
    draw_loss_curves({_label(name): read_history(folder, name) for name in training_names(models)},
                     os.path.join(folder, CURVES_FILE))
    write_json_text(os.path.join(folder, RESULTS_FILE), results)
    print_report(recipe, results, folder, models)


def read_results(folder: str) -> dict[str, Any]:
    """Return the content of results.json of a run folder.

    Raises:
        MassError: there is none, or a recipe did not write it.
    """
    path = require_file(os.path.join(folder, RESULTS_FILE), "results of a recipe")
    try:
        results = read_json(path)
        if not isinstance(results, dict) or not results.keys() >= _READ:
            raise ValueError("entries are missing")
    except ValueError as error:
        raise MassError(f"{path} is not the file that a recipe writes ({describe_error(error)}); run the recipe "
                        f"again") from error
    return results


def print_report(recipe: Recipe, results: dict[str, Any], folder: str, models: Models) -> None:
    """Print examples, trainings, the table, and where everything is."""
    for number, example in enumerate(results["examples"], start=1):
        print(f"\nExample {number} of {len(results['examples'])}")
        for key, label in (("source", "source"), ("reference", "reference"), *STARTS.items()):
            print(textwrap.fill(example[key], 120, initial_indent=f"{label:>16}: ", subsequent_indent=" " * 18)
                  or f"{label:>16}: (empty)")
    print("\nTraining")
    for name, figures in results["training"].items():
        best = figures["best_valid_ppl"]
        print(f"  {_label(name):40}{figures['steps']:7,} steps{figures['seconds']:8,.0f} s"
              + (f"   best validation perplexity {best:.1f}" if best else ""))
    print(f"\nTest split, {results['test_pairs']:,} pairs: {recipe.description}\n")
    print(table(results) + "\n")
    print("\n".join(results["verdict"]))
    signatures = results["signatures"]
    if signatures["mass"] == signatures["scratch"]:
        print(f"({signatures['mass']})")
    else:
        print("\n".join(f"{label}: {signatures[start]}" for start, label in STARTS.items()))
    print("\nOutputs:")
    first = {start: names[0] for start, names in models.items()}
    outputs = {os.path.join(folder, name.format(**first)): meaning for name, meaning in OUTPUTS.items()}
    width = max(map(len, outputs))
    for path, meaning in outputs.items():
        print(f"  {path:{width}}  {meaning}")
    print(f"\nTo try the model on what you type: .venv/bin/python eval.py --ckpt "
          f"{os.path.join(folder, finetuned(first['mass']))} --interactive")


def table(results: dict[str, Any]) -> str:
    """Return the table of results; after means over several seeds, a second line has the standard deviations."""
    rows = [f"{'':20}{'perplexity per':>18}{'ROUGE (F1 x 100)':>24}",
            f"{'':20}{'subword':>9}{'word':>9}{'1':>10}{'2':>7}{'L':>7}"]
    for start, label in STARTS.items():
        figures = results["models"][start]
        rows.append(_row(label, figures["ppl"], figures["rouge"]))
        if figures["ppl_deviation"]:
            rows.append(_row(f"  (sd, {len(figures['runs'])} seeds)", figures["ppl_deviation"],
                             figures["rouge_deviation"]))
    if baseline := results["lead_baseline"]:
        rows.append(f"{'first ' + str(baseline['words']) + ' words':20}{'-':>9}{'-':>9}   {_rouge(baseline['rouge'])}")
    return "\n".join(rows)


def _row(label: str, ppl: dict[str, float], rouge: dict[str, float]) -> str:
    return f"{label:20}{ppl['subword']:9.1f}{ppl['word']:9.1f}   {_rouge(rouge)}"


def _rouge(scores: dict[str, float]) -> str:
    return "".join(f"{scores[name]:7.2f}" for name in ROUGE_METRICS)


def _label(training: str) -> str:
    """`finetune_mass_seed1` -> `fine-tuning, MASS pre-trained, seed 1`."""
    if training == PRETRAIN:
        return "MASS pre-training"
    start, _, seed = model_of(training).partition("_seed")
    return f"fine-tuning, {STARTS[start]}" + (f", seed {seed}" if seed else "")
