"""Build, show, compare and convert vocabularies (.dict.bin files).

A vocabulary is a list of tokens. Its fingerprint (the SHA-256 digest of the tokens in order) is stored in the records
and checkpoints made with it, which can be used with this vocabulary only. Run `python vocabulary.py COMMAND -h` for the
flags of a command.
"""
import argparse
import textwrap
from collections.abc import Callable, Sequence

from src.common.arguments import CommandLineParser, whole_number
from src.common.errors import run
from src.common.output_checks import require_different_files
from src.utils.dictionary import Dictionary
from src.utils.pickled_dictionary import convert_dictionary, read_pickled_dictionary
from src.utils.vocabulary_tools import (
    build,
    compare,
    describe,
    describe_change,
    export,
    files_of_frequencies,
    merge,
    save,
)


def build_command(args: argparse.Namespace) -> None:
    """Build a vocabulary from word frequencies.

    Frequencies of the same word in several files are added. Ids are in the order of descending frequency, then of
    spelling.
    """
    _require_output_is_no_input(args, files_of_frequencies(args.sources))
    print(save(build(args.sources, args.threshold), args.output, args.overwrite))


def shrink_command(args: argparse.Namespace) -> None:
    """Drop rare words from a vocabulary.

    The most frequent of these words are kept if they are needed to make the size a multiple of 16.
    """
    _require_output_is_no_input(args, [])  # with --overwrite, the vocabulary itself may be shrunk
    vocabulary = Dictionary.load_from_persisted_dict(args.vocabulary)
    small = vocabulary.shrink(args.threshold)
    print(save(small, args.output, args.overwrite))
    print(describe_change(vocabulary, small))


def export_command(args: argparse.Namespace) -> None:
    """Write a vocabulary as text: 'word frequency' lines, which build reads."""
    _require_output_is_no_input(args, [args.vocabulary])
    print(export(Dictionary.load_from_persisted_dict(args.vocabulary), args.output, args.overwrite))


def merge_command(args: argparse.Namespace) -> None:
    """Merge several vocabularies into one.

    Frequencies are added. Ids are in the order of descending frequency and differ from those of the old vocabularies.
    """
    _require_output_is_no_input(args, [args.first, *args.others])
    print(save(merge([args.first, *args.others]), args.output, args.overwrite))


def show_command(args: argparse.Namespace) -> None:
    """Show size, fingerprint, special tokens, and the most and least frequent tokens."""
    print(describe(args.vocabulary, Dictionary.load_from_persisted_dict(args.vocabulary), args.count))


def compare_command(args: argparse.Namespace) -> int:
    """Compare two vocabularies: the first id that differs, and the tokens that only one of them has.

    The exit code is 0 if all tokens and ids are the same, else 1.
    """
    comparison = compare(args.first, args.second)
    print(comparison.text)
    return 0 if comparison.same_tokens else 1


def convert_command(args: argparse.Namespace) -> None:
    """Convert a pickled dictionary of the earlier implementation.

    No code in the pickle is run: only the attributes of its class Dictionary are read, and a pickle that names anything
    else is refused. Ids are kept.
    """
    _require_output_is_no_input(args, [args.old])
    old = read_pickled_dictionary(args.old)
    vocabulary = convert_dictionary(old, args.renumber)
    print(save(vocabulary, args.output, args.overwrite))
    if vocabulary.tokens == old.tokens:
        print(f"all {len(vocabulary):,} tokens have the same ids as in {args.old}")
    else:
        print(f"the ids are new ({len(old.tokens):,} tokens before, {len(vocabulary):,} now): records must be created "
              f"again, and checkpoints trained with {args.old} cannot be used with this vocabulary")


def _require_output_is_no_input(args: argparse.Namespace, inputs: Sequence[str]) -> None:
    require_different_files([("an input", path) for path in inputs], [("--output", args.output)])


def parse_arguments() -> argparse.Namespace:
    parser = CommandLineParser(description=__doc__)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    command = add_command(commands, "show", show_command)
    command.add_argument("vocabulary", metavar="VOCABULARY")
    command.add_argument("--count", type=whole_number(), default=10, help="number of most and least frequent tokens")

    command = add_command(commands, "compare", compare_command)
    command.add_argument("first", metavar="VOCABULARY")
    command.add_argument("second", metavar="VOCABULARY")

    command = add_writing_command(commands, "build", build_command)
    command.add_argument("sources", nargs="+", metavar="FILE_OR_FOLDER",
                         help="files of 'word frequency' lines, as written by apply_bpe_encoding.py; or folders of "
                              "*.dict files")
    command.add_argument("--threshold", type=whole_number(), help="drop words of this frequency or less (see shrink)")

    command = add_writing_command(commands, "shrink", shrink_command)
    command.add_argument("vocabulary", metavar="VOCABULARY")
    command.add_argument("--threshold", type=whole_number(), default=50, help="drop words of this frequency or less")

    command = add_writing_command(commands, "merge", merge_command)
    command.add_argument("first", metavar="VOCABULARY")
    command.add_argument("others", nargs="+", metavar="VOCABULARY")

    command = add_writing_command(commands, "export", export_command)
    command.add_argument("vocabulary", metavar="VOCABULARY")

    command = add_writing_command(commands, "convert", convert_command)
    command.add_argument("old", metavar="PICKLE")
    command.add_argument("--renumber", action="store_true",
                         help="assign new ids if the old ones cannot be kept because ids 0 to 4 are not <pad> <s> </s> "
                              "<unk> <mask>")
    return parser.parse_args()


def add_command(
    commands: argparse._SubParsersAction, name: str, function: Callable[[argparse.Namespace], int | None]
) -> argparse.ArgumentParser:
    """Add a command that calls `function`; the docstring of `function` is its help text."""
    text = textwrap.dedent("    " + function.__doc__)
    command = commands.add_parser(name, help=text.split("\n")[0], description=text)
    command.set_defaults(function=function)
    return command


def add_writing_command(
    commands: argparse._SubParsersAction, name: str, function: Callable[[argparse.Namespace], None]
) -> argparse.ArgumentParser:
    """Add a command that writes a file (see `add_command`)."""
    command = add_command(commands, name, function)
    command.add_argument("--output", required=True, help="the file to write")
    command.add_argument("--overwrite", action="store_true", help="replace a different file at --output")
    return command


def main() -> int | None:
    args = parse_arguments()
    return args.function(args)


if __name__ == "__main__":
    run(main)
