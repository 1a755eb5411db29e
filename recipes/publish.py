"""Write what a run of a recipe found, without any text of its corpora, into one small file for docs/results/.

The file holds results.json without its examples, with the command of each step, and the validations and a part of the
training entries of each training. Of absolute paths only the last names are kept, which are all that others can use.
"""
import os
import re
import shlex
from collections.abc import Sequence
from typing import Any

from recipes.report import read_results
from recipes.results import read_history
from src.common.arguments import CommandLineParser, not_empty
from src.common.errors import run
from src.common.json_output import write_json_text
from src.common.progress import say

MOST_ENTRIES = 40  # training entries of each training
_KEPT = ("event", "step", "loss", "nll", "ppl", "lr", "seconds", "tokens_per_second", "compute_type", "rouge", "best")
_TEXT = ("examples",)
_ABSOLUTE = re.compile(r"(^|[=,])/(?:[^/,]*/)*")


def summary_of(folder: str) -> dict[str, Any]:
    """Return the content of the file.

    Raises:
        MassError: the run folder has no results.json, or one that a recipe did not write.
    """
    results = read_results(folder)
    return {**{key: value for key, value in results.items() if key not in _TEXT},
            "command": without_folders(results["command"]),
            "commands": list(map(without_folders, results["commands"])),
            "histories": {name: thinned(read_history(folder, name)) for name in results["training"]}}


def without_folders(command: str) -> str:
    """Return a command of a shell in which only the last names of absolute paths are left."""
    return shlex.join(_ABSOLUTE.sub(r"\1", word) for word in shlex.split(command))


def thinned(history: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return all validations and at most MOST_ENTRIES other entries, evenly spaced, with numbers rounded."""
    others = sum(entry["event"] == "train" for entry in history)
    distance, number, kept = max(1, -(-others // MOST_ENTRIES)), 0, []
    for entry in history:
        number += entry["event"] == "train"
        if entry["event"] != "train" or number % distance == 0:
            kept.append({key: _rounded(entry[key]) for key in _KEPT if key in entry})
    return kept


def _rounded(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value


def main() -> None:
    parser = CommandLineParser(prog="python -m recipes.publish", description=__doc__)
    parser.add_argument("--run_folder", required=True, type=not_empty, metavar="DIR", help="of a finished recipe")
    parser.add_argument("--output", required=True, type=not_empty, metavar="FILE", help="docs/results/<name>.json")
    args = parser.parse_args()
    write_json_text(args.output, summary_of(args.run_folder), indent=1)
    say(f"{args.output}: {os.path.getsize(args.output):,} bytes")


if __name__ == "__main__":
    run(main)
