"""Copy the BPE codes, the vocabulary and the pre-trained weights of an earlier run of a recipe."""
import os
import shutil

from recipes.steps import is_finished
from src.checkpoints.files import BEST, LATEST
from src.common.arguments import CommandLineParser
from src.common.errors import MassError, run
from src.common.progress import say

CODES, VOCABULARY = os.path.join("subword", "all.bpe.codes"), os.path.join("subword", "all_en.dict.bin")
PRETRAINED = os.path.join("pretrain", BEST)
_CHECKPOINTS = ("*-[0-9]*.safetensors", "*.state.*", LATEST)  # but for the best one


def require_run(folder: str) -> None:
    """Raise a MassError unless a run folder holds everything that another run can take over.

    The weights of a pre-training that was interrupted are refused.
    """
    missing = [name for name in (CODES, VOCABULARY, PRETRAINED) if not os.path.isfile(os.path.join(folder, name))]
    if missing:
        raise MassError(f"--pretrained {folder}: {', '.join(missing)} is missing; name the run folder of a recipe "
                        f"that has pre-trained")
    if not any(is_finished(folder, step) for step in ("pretrain", "reuse")):
        raise MassError(f"--pretrained {folder}: the pre-training is not finished; call the recipe with that run "
                        f"folder again to resume it")


def main() -> None:
    parser = CommandLineParser(prog="python -m recipes.reuse", description=__doc__)
    for part in ("subword", "pretrain"):
        parser.add_argument(f"--{part}", required=True, help=f"folder {part}/ of the earlier run")
    parser.add_argument("--output_folder", required=True, help="the run folder that gets copies of both")
    args = parser.parse_args()
    for source in (args.subword, args.pretrain):
        target = os.path.join(args.output_folder, os.path.basename(source))
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(*_CHECKPOINTS))
        say(f"{source} -> {target}")


if __name__ == "__main__":
    run(main)
