"""The flags that describe how raw text is processed, and the processing that they and text.json ask for."""
import sys
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from src.checkpoints.find import ModelFiles, find_text_processing
from src.common.errors import UsageError
from src.text.spelling import SPELLING_HELP, names_of_flags
from src.text.text_processing import TEXT_TOKENIZERS, TextProcessing
from src.text.tokenization import RULES

_NAMES = ("tokenizer", "codes", *SPELLING_HELP)


def add_text_flags(parser: ArgumentParser) -> None:
    """Add the flags to a parser, in their own group."""
    text = parser.add_argument_group("processing of raw text (default: text.json beside the checkpoint)")
    text.add_argument("--tokenizer", choices=TEXT_TOKENIZERS, help="none: the text is already tokenized")
    text.add_argument("--codes", metavar="FILE", help="BPE codes")
    for name, effect in SPELLING_HELP.items():
        text.add_argument(f"--{name}", action=BooleanOptionalAction, help=effect)


def text_flags(args: Namespace) -> dict[str, Any]:
    """Return the values of those flags of `add_text_flags` that were given, by name."""
    return {name: value for name in _NAMES if (value := getattr(args, name)) is not None}


def find_text(files: ModelFiles, flags: Mapping[str, Any]) -> TextProcessing:
    """Return how the text of a model is processed.

    Args:
        flags: from `text_flags`; what they do not say is taken from text.json beside the checkpoint.

    Raises:
        UsageError: neither the flags nor text.json say it.
        MassError: the codes or text.json are missing or damaged. A text.json that cannot be read is not taken for a
            missing one, unless the flags say everything.
    """
    known = find_text_processing(files.checkpoint) if set(flags) < set(_NAMES) else None  # read only if it is used
    if not known and "tokenizer" not in flags:
        raise UsageError(f"there is no text.json beside {files.checkpoint!r} that describes how raw text becomes the "
                         f"words of this model (training writes it if dataset_config.tokenizer is set): give "
                         f"--tokenizer (nltk, jieba, or none for text that is already tokenized) and --codes, "
                         f"{names_of_flags()} as they were used for its training text")
    base = known or TextProcessing(flags["tokenizer"])
    text = replace(base, **flags)
    if text.tokenizer != base.tokenizer:
        text = replace(text, rules=RULES)
    text.require_codes(files.vocabulary, "--codes")
    text.check()
    if text.note:
        print(text.note, file=sys.stderr, flush=True)
    return text
