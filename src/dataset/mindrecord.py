"""MindRecord files of integer sequences, through MindSpore's own writer and reader.

A MindRecord file `name` has an index `name.db` beside it that remembers the name `name` (without its folder). The two
must stay together and keep that name; the folder they are in may change.

MindSpore takes seconds to import, so it is imported when such a file is first written or read.
"""
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from src.utils.errors import MassError
from src.utils.ragged import RaggedArray

BLOCK_SIZE = 8192  # examples handed over at a time


def write_mindrecord(path: str, examples: Iterable[dict[str, np.ndarray]], columns: Sequence[str]) -> None:
    """Write each example, an integer array a column, as one row; makes `path` and its index `path`.db."""
    from mindspore.mindrecord import FileWriter

    writer = FileWriter(path, shard_num=1, overwrite=True)
    writer.add_schema({name: {"type": "int32", "shape": [-1]} for name in columns})
    examples = iter(examples)
    while block := list(islice(examples, BLOCK_SIZE)):
        writer.write_raw_data([{name: example[name].astype(np.int32) for name in columns} for example in block])
    writer.commit()


def read_mindrecord(path: str, columns: Sequence[str]) -> Iterator[dict[str, RaggedArray]]:
    """Yield the examples of a file in order, a block of them at a time.

    Compare checksums first: on some damage to a file MindSpore ends the process without raising anything.

    Raises:
        MassError: MindSpore cannot read the file or its index, or it has other columns; the message names the file.
    """
    from mindspore.mindrecord import FileReader

    reader = None
    try:
        reader = FileReader(path, num_consumer=1, columns=list(columns))
        rows = reader.get_next()
        while block := list(islice(rows, BLOCK_SIZE)):
            yield {name: RaggedArray.from_sequences(row[name] for row in block) for name in columns}
    except RuntimeError as error:  # what MindSpore raises for whatever is wrong with a file
        reason = str(error).strip().splitlines()[0]
        raise MassError(f"{path}: damaged or not a MindRecord file ({reason}); make it again") from error
    finally:
        if reader is not None:
            reader.close()
