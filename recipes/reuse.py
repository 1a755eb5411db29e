"""Copy the BPE codes, the vocabulary and the pre-trained weights of an earlier run of a recipe."""
import json
import os
import shutil
from collections.abc import Mapping

from config.config import Config, DatasetConfig
from config.loading import load_config
from recipes.run_layout import CODES, PRETRAIN, PRETRAINED, REUSE, START, SUBWORD, VOCABULARY
from recipes.steps import is_finished
from src.checkpoints.compatibility import SHAPELESS_KEYS, SIZE_KEYS
from src.checkpoints.files import CONFIG_FILE, LATEST
from src.common.arguments import CommandLineParser
from src.common.errors import MassError, UsageError, run
from src.common.files import atomic_folder, file_digest, require_folder
from src.common.progress import say
from src.text.spelling import spelling_of
from src.text.text_processing import TextProcessing

REQUIRED = CODES, VOCABULARY, PRETRAINED
_CHECKPOINTS = ("*-[0-9]*.safetensors", "*.state.*", LATEST)  # but for the best one


def require_run(folder: str, planned: Mapping[str, Config]) -> None:
    """Raise an error unless a run folder holds everything that another run can take over.

    The weights of a pre-training that was interrupted are refused, and those of another network, or of a model whose
    text was tokenized or spelled in another way, than the trainings to come.

    Args:
        planned: the configurations of the trainings that start from the weights, by the flag that changes them.
    """
    missing = [name for name in REQUIRED if not os.path.isfile(os.path.join(folder, name))]
    if missing:
        raise MassError(f"--pretrained {folder}: {', '.join(missing)} is missing; name the run folder of a recipe "
                        f"that has pre-trained")
    if not any(is_finished(folder, step) for step in (PRETRAIN, REUSE)):
        raise MassError(f"--pretrained {folder}: the pre-training is not finished; call the recipe with that run "
                        f"folder again to resume it")
    network = load_config(os.path.join(folder, PRETRAIN, CONFIG_FILE)).model_config
    text = TextProcessing.load(os.path.join(folder, PRETRAIN))
    for flag, config in planned.items():
        for key in (*SIZE_KEYS, *SHAPELESS_KEYS):
            theirs, ours = getattr(network, key), getattr(config.model_config, key)
            if theirs != ours:
                raise MassError(f"--pretrained {folder}: its network is another one (model_config.{key} is {theirs} "
                                f"there and {ours} here); give {flag} model_config.{key}={theirs}")
        if text is not None:
            _require_same_text(folder, text, config.dataset_config)
    if text is None:
        return
    if text.codes and file_digest(text.codes) != file_digest(os.path.join(folder, CODES)):
        raise MassError(f"--pretrained {folder}: {CODES} has changed since the pre-training; call the recipe with that "
                        f"run folder again")


def _require_same_text(folder: str, text: TextProcessing, data: DatasetConfig) -> None:
    theirs, ours = ({"tokenizer": it.tokenizer, **spelling_of(it)} for it in (text, data))
    if theirs != ours:
        other = ", ".join(f"{name} is {json.dumps(theirs[name])} there and {json.dumps(ours[name])} here"
                          for name in ours if ours[name] != theirs[name])
        raise MassError(f"--pretrained {folder}: its text was processed in another way ({other}), so its codes and "
                        f"vocabulary do not suit this recipe")


def next_seed(folder: str) -> int:
    """Return a random seed with which pre-training continues: with that of the earlier run, it would draw the same
    batches and masks again."""
    return load_config(os.path.join(folder, PRETRAIN, CONFIG_FILE)).model_config.random_seed + 1


def main() -> None:
    parser = CommandLineParser(prog="python -m recipes.reuse", description=__doc__)
    parser.add_argument("--subword", required=True, help=f"folder {SUBWORD}/ of the earlier run")
    parser.add_argument("--pretrain", required=True, help=f"folder {PRETRAIN}/ of the earlier run")
    parser.add_argument("--output_folder", required=True, help="the run folder that gets copies of both")
    parser.add_argument("--to_continue", action="store_true",
                        help=f"pre-training continues from the weights: their copy is {START}/, not {PRETRAIN}/")
    args = parser.parse_args()
    names = {"subword": SUBWORD, "pretrain": START if args.to_continue else PRETRAIN}
    copies = {require_folder(getattr(args, flag), f"--{flag}"): os.path.join(args.output_folder, name)
              for flag, name in names.items()}
    for source, target in copies.items():
        if os.path.realpath(source) == os.path.realpath(target):
            raise UsageError(f"--output_folder {args.output_folder} is the earlier run itself; name another folder")
    for source, target in copies.items():
        with atomic_folder(target) as temporary:
            shutil.copytree(source, temporary, ignore=shutil.ignore_patterns(*_CHECKPOINTS), dirs_exist_ok=True)
        say(f"{source} -> {target}")


if __name__ == "__main__":
    run(main)
