"""Copy the BPE codes, the vocabulary and the pre-trained weights of an earlier run of a recipe."""
import os
import shutil

from config.config import DatasetConfig
from recipes.steps import PRETRAIN, REUSE, is_finished
from src.checkpoints.files import BEST, LATEST
from src.common.arguments import CommandLineParser
from src.common.errors import MassError, run
from src.common.progress import say
from src.text.spelling import spelling_of
from src.text.text_processing import TextProcessing

CODES, VOCABULARY = os.path.join("subword", "all.bpe.codes"), os.path.join("subword", "all_en.dict.bin")
PRETRAINED = os.path.join("pretrain", BEST)
REQUIRED = CODES, VOCABULARY, PRETRAINED
_CHECKPOINTS = ("*-[0-9]*.safetensors", "*.state.*", LATEST)  # but for the best one


def require_run(folder: str, data: DatasetConfig) -> None:
    """Raise a MassError unless a run folder holds everything that another run can take over.

    The weights of a pre-training that was interrupted are refused, and those of a model whose text was tokenized or
    spelled in another way than `data`, the configuration of fine-tuning, says.
    """
    missing = [name for name in REQUIRED if not os.path.isfile(os.path.join(folder, name))]
    if missing:
        raise MassError(f"--pretrained {folder}: {', '.join(missing)} is missing; name the run folder of a recipe "
                        f"that has pre-trained")
    if not any(is_finished(folder, step) for step in (PRETRAIN, REUSE)):
        raise MassError(f"--pretrained {folder}: the pre-training is not finished; call the recipe with that run "
                        f"folder again to resume it")
    text = TextProcessing.load(os.path.join(folder, "pretrain"))
    ours = {"tokenizer": data.tokenizer, **spelling_of(data)}
    if text is not None and (theirs := {"tokenizer": text.tokenizer, **text.spelling()}) != ours:
        other = ", ".join(f"{name} {theirs[name]} instead of {ours[name]}" for name in ours
                          if ours[name] != theirs[name])
        raise MassError(f"--pretrained {folder}: its text was processed in another way ({other}), so its codes and "
                        f"vocabulary do not suit this recipe")


def main() -> None:
    parser = CommandLineParser(prog="python -m recipes.reuse", description=__doc__)
    for part in ("subword", "pretrain"):
        parser.add_argument(f"--{part}", required=True, help=f"folder {part}/ of the earlier run")
    parser.add_argument("--output_folder", required=True, help="the run folder that gets copies of both")
    args = parser.parse_args()
    for source in (args.subword, args.pretrain):
        target = os.path.join(args.output_folder, os.path.basename(source))
        if os.path.lexists(target):  # of an earlier call
            shutil.rmtree(target)
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(*_CHECKPOINTS))
        say(f"{source} -> {target}")


if __name__ == "__main__":
    run(main)
