"""The flags that describe how raw text is processed, and the processing that they and text.json ask for."""
import sys
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from dataclasses import replace
from typing import NamedTuple

from src.checkpoints.find import ModelFiles, find_text_processing
from src.common.errors import UsageError
from src.text.text_processing import TEXT_TOKENIZERS, TextProcessing
from src.text.tokenization import RULES


class TextFlags(NamedTuple):
    """The flags that describe raw text; None takes the value of text.json beside the checkpoint."""

    tokenizer: str | None = None
    codes: str | None = None
    lower_case: bool | None = None
    digits_to_hash: bool | None = None
    brackets_to_names: bool | None = None


def add_text_flags(parser: ArgumentParser) -> None:
    """Add the flags to a parser, in their own group."""
    text = parser.add_argument_group("processing of raw text (default: text.json beside the checkpoint)")
    text.add_argument("--tokenizer", choices=TEXT_TOKENIZERS, help="none: the text is already tokenized")
    text.add_argument("--codes", metavar="FILE", help="BPE codes")
    text.add_argument("--lower_case", action=BooleanOptionalAction, help="convert words to lower case")
    text.add_argument("--digits_to_hash", action=BooleanOptionalAction, help="replace digits by #")
    text.add_argument("--brackets_to_names", action=BooleanOptionalAction, help="spell brackets -lrb-, -rrb- and so on")


def text_flags(args: Namespace) -> TextFlags:
    """Return the values that the flags of `add_text_flags` were given."""
    return TextFlags(args.tokenizer, args.codes, args.lower_case, args.digits_to_hash, args.brackets_to_names)


def find_text(files: ModelFiles, flags: TextFlags) -> TextProcessing:
    """Return how the text of a model is processed.

    Raises:
        UsageError: neither the flags nor text.json say it.
        MassError: the codes or text.json are missing or damaged. A text.json that cannot be read is not taken for a
            missing one, unless the flags say everything.
    """
    known = None if None not in flags else find_text_processing(files.checkpoint)  # not read if nothing of it is used
    if not known and not flags.tokenizer:
        raise UsageError(f"there is no text.json beside {files.checkpoint!r} that describes how raw text becomes the "
                         f"words of this model (training writes it if dataset_config.tokenizer is set): give "
                         f"--tokenizer (nltk, jieba, or none for text that is already tokenized) and --codes, "
                         f"--lower_case, --digits_to_hash and --brackets_to_names as they were used for its training "
                         f"text")
    base = known or TextProcessing(flags.tokenizer)
    text = replace(base, **{name: given for name, given in flags._asdict().items() if given is not None})
    if text.tokenizer != base.tokenizer:
        text = replace(text, rules=RULES)
    text.require_codes(files.vocabulary, "--codes")
    text.check()
    if text.note:
        print(text.note, file=sys.stderr, flush=True)
    return text
