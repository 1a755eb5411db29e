"""The flags that all scripts which make data sets share: what is kept, in how many files, of which format."""
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass

from src.dataset.record_files import RECORD_FORMATS


@dataclass(frozen=True)
class RecordOptions:
    """What a data set is made like. Lengths are counted in symbols with `</s>`."""

    max_len: int = 64
    min_len: int = 1
    shards: int = 1
    format: str = "tfrecord"


def add_record_flags(parser: ArgumentParser) -> None:
    """Add the flags behind `RecordOptions`, in a group of their own."""
    group = parser.add_argument_group("the records")
    group.add_argument("--max_len", type=int, default=RecordOptions.max_len,
                       help="longest sentence (of pairs: source or target) in symbols with </s>; longer ones are "
                            "dropped and counted")  # fmt: skip
    group.add_argument("--min_len", type=int, default=RecordOptions.min_len,
                       help="shortest sentence in symbols with </s>; shorter ones are dropped and counted, as empty "
                            "ones always are")  # fmt: skip
    group.add_argument("--shards", metavar="N", type=int, default=RecordOptions.shards,
                       help="number of files for each data set, <name>-00000-of-0000N.<format> and so on: example i "
                            "is in file i mod N")  # fmt: skip
    group.add_argument("--format", choices=RECORD_FORMATS, default=RecordOptions.format,
                       help="format of the record files")


def record_options(arguments: Namespace) -> RecordOptions:
    """The options given on the command line."""
    return RecordOptions(arguments.max_len, arguments.min_len, arguments.shards, arguments.format)
