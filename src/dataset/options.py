"""The flags that the data set scripts share: which sentences are kept, the number of files and their format."""
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass

from src.dataset.records.files import MAX_SHARDS, RECORD_FORMATS

_MINDRECORD_BYTES = 1 << 22  # of text per file: some 30,000 examples, whose index takes 1.4 KB of memory each


@dataclass(frozen=True)
class RecordOptions:
    """How the records of a data set are made. Lengths are numbers of tokens, `</s>` included."""

    max_len: int = 64
    min_len: int = 1
    shards: int | None = None  # None: the number of files that suits the format
    format: str = "tfrecord"

    def shards_for(self, text_bytes: int) -> int:
        """Return the number of files for a data set that is made of `text_bytes` bytes of text.

        It is 1 unless it is given; but a large MindRecord data set gets several, because MindSpore keeps the index of a
        file in memory while it makes it.
        """
        if self.shards is not None or self.format != "mindrecord":
            return 1 if self.shards is None else self.shards
        return min(1 + text_bytes // _MINDRECORD_BYTES, MAX_SHARDS)


def add_record_flags(parser: ArgumentParser) -> None:
    """Add the flags that set `RecordOptions`, in a group of their own."""
    group = parser.add_argument_group("records")
    group.add_argument("--max_len", type=int, metavar="N", default=RecordOptions.max_len,
                       help="maximum length of a sentence, or of each side of a pair, in tokens including </s>; longer "
                            "ones are dropped and counted")
    group.add_argument("--min_len", type=int, metavar="N", default=RecordOptions.min_len,
                       help="minimum length in tokens including </s>; shorter ones are dropped and counted. Empty ones "
                            "are always dropped")
    group.add_argument("--shards", metavar="N", type=int, default=RecordOptions.shards,
                       help="number of files for each data set, named <name>-00000-of-0000N.<format> and so on; "
                            "example i is in file i mod N (default: 1 file, or for mindrecord one for each 4 MiB of "
                            f"text, at most {MAX_SHARDS})")
    group.add_argument("--format", choices=RECORD_FORMATS, default=RecordOptions.format,
                       help="format of the record files. To write mindrecord, MindSpore needs 0.5 GB of memory and "
                            "another 1.4 KB for each example of a file")


def record_options(arguments: Namespace) -> RecordOptions:
    """Return the options given on the command line."""
    return RecordOptions(arguments.max_len, arguments.min_len, arguments.shards, arguments.format)
