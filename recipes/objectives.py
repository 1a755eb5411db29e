"""Compare pre-training objectives: a network is pre-trained with each, fine-tuned and scored.

The text and the data sets are those of a recipe that was run before; the lengths of the trainings are those of its
configuration files. The objectives are MASS with fragments from one token (as BERT masks) to the whole sentence (as GPT
predicts), the released code's (loose), MASS without the 80/10/10 rule (masked), and none. The number of steps is such
that all of them process the same number of source and target positions.
"""
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recipes.flags import add_run_flags
from recipes.pipeline import METRICS, Options, Pipeline
from recipes.recipe import Recipe
from recipes.register import RECIPES
from recipes.report import read_results
from recipes.results import scores_of
from recipes.run_layout import OBJECTIVES as OBJECTIVES_FOLDER
from recipes.run_layout import OBJECTIVES_FILE, OBJECTIVES_PICTURE, PRETRAIN, RECORDS, finetuned
from recipes.schedule import load_planned, require_settings, scaled_settings
from recipes.steps import ROOT, Steps, path_in_root
from src.checkpoints.files import BEST
from src.common.arguments import CommandLineParser, not_empty
from src.common.errors import MassError, run
from src.common.files import atomic_output, require_folder
from src.common.folder_lock import locked_folder
from src.common.json_output import write_json_text
from src.common.text_table import table_lines
from src.utils.monitoring.loss_curve import BLUE, ORANGE
from src.utils.rouge_score import ROUGE_METRICS

USUAL_RATIO = 0.5  # the fragment of MASS, whose number of steps is that of the configuration
ONE_TOKEN = 1e-6  # the ratio whose fragment is one token in any sentence


@dataclass(frozen=True)
class Objective:
    """A pre-training objective; `ratio` is the share of a sentence that is masked, None without pre-training."""

    name: str
    ratio: float | None
    language_model: str = "mass"

    @property
    def model(self) -> str:
        """The name of the model that is fine-tuned after it."""
        return f"objective_{self.name}"

    @property
    def settings(self) -> list[str]:
        """The keys of the configuration that choose it."""
        return [f"dataset_config.language_model={self.language_model}", f"dataset_config.fragment_ratio={self.ratio:g}"]


OBJECTIVES = (
    Objective("none", None),
    Objective("one_token", ONE_TOKEN),
    *(Objective(f"mass_{percent}", percent / 100) for percent in range(10, 101, 10)),
    Objective("loose_50", USUAL_RATIO, "loose"),
    Objective("masked_50", USUAL_RATIO, "masked"),
)


class Comparison(Pipeline):
    """Runs the trainings and the evaluations of the objectives in the run folder of a recipe."""

    def run(self) -> dict[str, list[str]]:
        """Run everything; return the names of the fine-tuned models, under `objectives`.

        Raises:
            MassError: a training would be too short; nothing has been run then.
        """
        pretrain = {objective: self._pretrain_settings(objective) for objective in OBJECTIVES if objective.ratio}
        for objective in OBJECTIVES:
            name, start = objective.model, []
            if objective in pretrain:
                weights = self._in(OBJECTIVES_FOLDER, objective.name)
                self._pretrain(weights, pretrain[objective], f"{PRETRAIN}_{objective.name}")
                start = [f"checkpoint_options.existed_ckpt={os.path.join(weights, BEST)}"]
            self._finetune_into(self._in(finetuned(name)), finetuned(name), start, resume=True)
            for metric in METRICS:
                self._score(name, metric, ())
        return {"objectives": [objective.model for objective in OBJECTIVES]}

    def _pretrain_settings(self, objective: Objective) -> list[str]:
        given = self.options.pretrain_settings
        planned = load_planned(self.recipe.pretrain_config, given)
        factor = (1.0 + USUAL_RATIO) / (1.0 + objective.ratio)
        return [*given, *scaled_settings(planned, factor), *objective.settings]


def collect(folder: str) -> dict[str, Any]:
    """Return ratio and scores of each objective, by its name."""
    return {objective.name: {"ratio": objective.ratio, "language_model": objective.language_model,
                             **scores_of(folder, objective.model)}
            for objective in OBJECTIVES}


def table(results: Mapping[str, Any]) -> list[str]:
    """Return a table of the scores as lines of text."""
    rows = {"": ["perplexity per subword", "per word", *(f"ROUGE-{name[-1].upper()}" for name in ROUGE_METRICS)]}
    for name, found in results.items():
        rows[name] = [f"{found['ppl']['subword']:.1f}", f"{found['ppl']['word']:.1f}",
                      *(f"{found['rouge'][metric]:.2f}" for metric in ROUGE_METRICS)]
    return list(table_lines(rows))


def draw(results: Mapping[str, Any], path: str) -> None:
    """Plot perplexity and ROUGE-2 against the share that is masked; lines mark the model without pre-training."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    mass = [found for found in results.values() if found["ratio"] is not None and found["language_model"] == "mass"]
    values = (("perplexity per subword", lambda found: found["ppl"]["subword"], BLUE),
              ("ROUGE-2", lambda found: found["rouge"]["rouge-2"], ORANGE))
    for panel, (label, value, colour) in zip(figure.subplots(1, 2), values, strict=True):
        panel.plot([100 * found["ratio"] for found in mass], [value(found) for found in mass], "o-", color=colour,
                   label="MASS")
        for name, marker in (("loose_50", "s"), ("masked_50", "^")):
            panel.plot([50], [value(results[name])], marker, color="black", label=name.partition("_")[0])
        panel.axhline(value(results["none"]), color="gray", linestyle="--", label="no pre-training")
        panel.set_xlabel("masked share of a sentence (%)")
        panel.set_ylabel(label)
        panel.legend(frameon=False, fontsize=8)
    with atomic_output(path) as temporary:
        figure.savefig(temporary, dpi=140, format="png")


def recipe_of(folder: str) -> Recipe:
    """Return the recipe that a run folder is of.

    Raises:
        MassError: the folder has no results.json, or one that a recipe did not write, or its recipe is not known.
    """
    name = read_results(folder)["recipe"]
    if name not in RECIPES:
        raise MassError(f"{folder!r} is of the recipe {name!r}, which is not known here; run a recipe again")
    return RECIPES[name]


def main() -> None:
    parser = CommandLineParser(prog="python -m recipes.objectives", description=__doc__)
    parser.add_argument("--run_folder", required=True, type=not_empty, metavar="DIR",
                        help="the run folder of a recipe; the models, objectives.json and objectives.png are put there")
    add_run_flags(parser)
    args = parser.parse_args()
    folder = path_in_root(args.run_folder)
    os.chdir(ROOT)
    recipe = recipe_of(folder)
    require_settings(recipe, args.pretrain_set, args.finetune_set)
    require_folder(os.path.join(folder, RECORDS, PRETRAIN), "folder of the data sets of pre-training")
    options = Options(folder, pretrain_settings=args.pretrain_set, finetune_settings=args.finetune_set)
    if args.dry_run:
        Comparison(recipe, options, Steps(folder, dry_run=True)).run()
        return
    with locked_folder(folder):
        Comparison(recipe, options, Steps(folder)).run()
        results = collect(folder)
        write_json_text(os.path.join(folder, OBJECTIVES_FILE), results)
        draw(results, os.path.join(folder, OBJECTIVES_PICTURE))
    print("\n".join(["", *table(results)]))


if __name__ == "__main__":
    run(main)
