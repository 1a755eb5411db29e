"""Bring the text of a user into the common layout of the recipes (see recipes/text_layout.py)."""
from recipes.flags import add_text_flags
from recipes.register import RECIPES
from recipes.text_layout import TextFolders
from src.common.arguments import CommandLineParser, not_empty
from src.common.errors import run
from src.common.files import make_output_folder
from src.common.progress import say


def main() -> None:
    parser = CommandLineParser(prog="python -m recipes.arrange", description=__doc__)
    parser.add_argument("recipe", choices=[name for name, recipe in RECIPES.items() if not recipe.text_command])
    add_text_flags(parser)
    parser.add_argument("--output_folder", required=True, type=not_empty, metavar="DIR", help="folder for the text")
    args = parser.parse_args()
    recipe, folders = RECIPES[args.recipe], TextFolders(args.data, args.sentences, args.train_pairs)
    recipe.check(folders)
    for line in recipe.arrange(folders, make_output_folder(args.output_folder)):
        say(line)


if __name__ == "__main__":
    run(main)
