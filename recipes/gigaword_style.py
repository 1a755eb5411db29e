"""Spell tokenized text as the Gigaword corpus does: lower case, digits as #, brackets as -lrb-, -rrb- and so on."""
import os
from collections.abc import Iterable, Iterator

from src.common.arguments import CommandLineParser, split_paths
from src.common.errors import UsageError, run
from src.common.files import atomic_output, list_files, make_output_folder
from src.common.progress import say
from src.common.text_files import read_lines
from src.text.spelling import Spelling

_SPELLING = Spelling(lower_case=True, brackets_to_names=True, digits_to_hash=True)


def in_gigaword_style(line: str) -> str:
    """Return a line of tokens in the spelling of the corpus; a line that has it already stays as it is."""
    return _SPELLING.spell(line)


def convert(folders: Iterable[str], output_folder: str) -> Iterator[str]:
    """Convert all *.txt of some folders; yield a line about each file.

    Raises:
        UsageError: files of two folders have the same name.
    """
    make_output_folder(output_folder)
    seen: dict[str, str] = {}
    for path in (path for folder in folders for path in list_files(folder, "*.txt", "source folder")):
        name = os.path.basename(path)
        if name in seen:
            raise UsageError(f"{seen[name]!r} and {path!r} would be the same output file {name!r}")
        seen[name] = path
        output, count = os.path.join(output_folder, name), 0
        with atomic_output(output) as temporary, open(temporary, "w", encoding="utf-8") as stream:
            for line in read_lines(path):
                stream.write(in_gigaword_style(line) + "\n")
                count += 1
        yield f"{path} -> {output}: {count:,} lines"


def main() -> None:
    parser = CommandLineParser(prog="python -m recipes.gigaword_style", description=__doc__)
    parser.add_argument("--src_folder", required=True, help="folder of tokenized *.txt; separate several by commas")
    parser.add_argument("--output_folder", required=True, help="folder for the files of the same names")
    args = parser.parse_args()
    for line in convert(split_paths(args.src_folder, "--src_folder"), args.output_folder):
        say(line)


if __name__ == "__main__":
    run(main)
