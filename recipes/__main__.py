"""Run a recipe: from a folder of text to trained models, scores and a report."""
import os
import sys
from argparse import ArgumentTypeError, Namespace

from config.loading import load_config
from recipes.flags import add_run_flags, add_text_flags
from recipes.pipeline import Options, Pipeline
from recipes.recipe import Recipe
from recipes.register import RECIPES
from recipes.report import make_report
from recipes.reuse import require_run
from recipes.schedule import require_settings
from recipes.steps import ROOT, Steps, path_in_root
from recipes.text_layout import TextFolders
from src.common.arguments import CommandLineParser, HelpFormatter, finite_number, not_empty
from src.common.errors import UsageError, run
from src.common.folder_lock import locked_folder

EPILOG = """recipes:
""" + "\n".join(f"  {name:15}  {recipe.description}" for name, recipe in RECIPES.items()) + """

A second call skips the steps that are up to date and resumes a training that was interrupted. All paths of the printed
commands are relative to the repository's folder.

examples:
  sh scripts/run_recipe.sh gigaword --data gigaword/ --sentences news/ --minutes 120
  sh scripts/run_recipe.sh cornell --data cornell/
  sh scripts/run_recipe.sh own --pairs pairs/ --sentences text/ --dry_run"""


def parse_arguments() -> Namespace:
    parser = CommandLineParser(prog="sh run_recipe.sh", description=__doc__, epilog=EPILOG,
                               formatter_class=HelpFormatter)
    parser.add_argument("recipe", choices=list(RECIPES), metavar="NAME", help="the recipe; see below")
    add_text_flags(parser)
    parser.add_argument("--run_folder", type=not_empty, metavar="DIR",
                        help="folder for everything that is made (default: recipe_<NAME> in the repository)")
    parser.add_argument("--pretrained", type=not_empty, metavar="DIR",
                        help="run folder of an earlier call: use its BPE codes, vocabulary and pre-trained weights "
                             "instead of pre-training")
    parser.add_argument("--continue_pretraining", action="store_true",
                        help="with --pretrained: pre-train further from its weights, on the text of this call")
    parser.add_argument("--minutes", type=finite_number, metavar="N",
                        help="shorten or lengthen all trainings by the same factor, so that they take about N minutes "
                             "together; short trial runs measure the speed (default: as the configurations say)")
    parser.add_argument("--seeds", metavar="N,N,...", type=_seeds,
                        help="fine-tune once with each of these random seeds; the report gives means and deviations")
    add_run_flags(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    recipe = RECIPES[args.recipe]
    if args.minutes is not None and args.minutes <= 0:
        raise UsageError(f"--minutes {args.minutes:g} must be above 0")
    folders = TextFolders(_absolute(args.data), _absolute(args.sentences), args.train_pairs)
    _require_useful_flags(args, recipe)
    recipe.check(folders)
    if args.pretrained is not None:
        settings = {"--finetune_set": (recipe.finetune_config, [*recipe.finetune_settings, *args.finetune_set])}
        if args.continue_pretraining:
            settings["--pretrain_set"] = recipe.pretrain_config, args.pretrain_set
        require_run(args.pretrained, {flag: load_config(os.path.join(ROOT, config), changes)
                                      for flag, (config, changes) in settings.items()})
    run_folder = path_in_root(args.run_folder or os.path.join(ROOT, f"recipe_{recipe.name}"))
    pretrained = None if args.pretrained is None else path_in_root(args.pretrained)
    if pretrained == run_folder:
        raise UsageError(f"--pretrained {args.pretrained} is the run folder itself: name another --run_folder")
    if "," in run_folder:
        raise UsageError(f"--run_folder {run_folder}: a comma separates paths in configurations; choose another name")
    os.chdir(ROOT)
    options = Options(run_folder, folders, pretrained, args.continue_pretraining, args.minutes, args.seeds or (),
                      args.pretrain_set, args.finetune_set)
    require_settings(recipe, args.pretrain_set, args.finetune_set)
    if args.dry_run:
        Pipeline(recipe, options, Steps(run_folder, dry_run=True)).run()
        return
    print(f"+ cd {ROOT}")
    with locked_folder(run_folder):
        steps = Steps(run_folder)
        models = Pipeline(recipe, options, steps).run()
        make_report(recipe, run_folder, models, steps.commands)


def _require_useful_flags(args: Namespace, recipe: Recipe) -> None:
    """Raise a UsageError for a flag that would have no effect."""
    if args.continue_pretraining and args.pretrained is None:
        raise UsageError("--continue_pretraining: --pretrained must name the run folder to continue from")
    if args.pretrained is not None and not args.continue_pretraining:
        for flag in ("pretrain_set", "sentences"):
            if getattr(args, flag):
                raise UsageError(f"--{flag} is for the pre-training, which --pretrained replaces: give one of them, "
                                 f"or --continue_pretraining too")
    if recipe.text_command:
        for flag in ("data", "sentences", "train_pairs"):
            if getattr(args, flag) is not None:
                raise UsageError(f"--{flag}: the recipe {recipe.name} makes its text itself")


def _absolute(path: str | None) -> str | None:
    return None if path is None else os.path.realpath(path)


def _seeds(text: str) -> tuple[int, ...]:
    numbers = text.split(",")
    if not all(number.isdecimal() and len(number) < 10 for number in numbers) \
            or len(set(map(int, numbers))) < len(numbers):
        raise ArgumentTypeError(f"{text!r} must be different whole numbers, separated by commas")
    return tuple(map(int, numbers))


if __name__ == "__main__":
    sys.argv[0] = "run_recipe.sh"
    run(main)
