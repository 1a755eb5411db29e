"""The flags that all scripts which make data sets share: what is kept, in how many files, of which format."""
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass

from src.dataset.records.files import MAX_SHARDS, RECORD_FORMATS

_MINDRECORD_BYTES = 1 << 22  # of text a file: some 30,000 examples, whose index takes 1.4 KB of memory each


@dataclass(frozen=True)
class RecordOptions:
    """What a data set is made like. Lengths are counted in symbols with `</s>`."""

    max_len: int = 64
    min_len: int = 1
    shards: int | None = None  # None: as many as the format is best written in
    format: str = "tfrecord"

    def shards_for(self, text_bytes: int) -> int:
        """The number of files for a data set made of so much text.

        One, unless it is given; but several of MindRecord, as MindSpore makes the index of a file in memory.
        """
        if self.shards is not None or self.format != "mindrecord":
            return 1 if self.shards is None else self.shards
        return min(1 + text_bytes // _MINDRECORD_BYTES, MAX_SHARDS)


def add_record_flags(parser: ArgumentParser) -> None:
    """Add the flags behind `RecordOptions`, in a group of their own."""
    group = parser.add_argument_group("the records")
    group.add_argument("--max_len", type=int, default=RecordOptions.max_len,
                       help="longest sentence (of pairs: source or target) in symbols with </s>; longer ones are "
                            "dropped and counted")
    group.add_argument("--min_len", type=int, default=RecordOptions.min_len,
                       help="shortest sentence in symbols with </s>; shorter ones are dropped and counted, as empty "
                            "ones always are")
    group.add_argument("--shards", metavar="N", type=int, default=RecordOptions.shards,
                       help="number of files for each data set, <name>-00000-of-0000N.<format> and so on: example i "
                            "is in file i mod N (default: 1; of mindrecord one for each 4 MiB of text, up to "
                            f"{MAX_SHARDS})")
    group.add_argument("--format", choices=RECORD_FORMATS, default=RecordOptions.format,
                       help="format of the record files; writing mindrecord takes 0.5 GB of memory, and 1.4 KB for "
                            "each example of a file")


def record_options(arguments: Namespace) -> RecordOptions:
    """The options given on the command line."""
    return RecordOptions(arguments.max_len, arguments.min_len, arguments.shards, arguments.format)
