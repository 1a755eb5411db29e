"""Flags that several commands of the recipes have."""
from argparse import ArgumentParser

from src.common.arguments import not_empty, whole_number


def add_text_flags(parser: ArgumentParser) -> None:
    """Add the flags that say where the text is."""
    parser.add_argument("--data", "--pairs", type=not_empty, metavar="DIR",
                        help="folder of the pairs, or of the published corpus")
    parser.add_argument("--sentences", type=not_empty, metavar="DIR", help="folder of text for pre-training (*.txt)")
    parser.add_argument("--train_pairs", type=whole_number(1), metavar="N", help="use the first N training pairs only")


def add_run_flags(parser: ArgumentParser) -> None:
    """Add the flags that change the trainings, and --dry_run."""
    for stage, config in (("pretrain", "pre-training"), ("finetune", "fine-tuning")):
        parser.add_argument(f"--{stage}_set", action="append", default=[], metavar="node.key=value",
                            help=f"override a configuration key of {config}; may be repeated")
    parser.add_argument("--dry_run", action="store_true", help="print the commands and run none")
