"""The header of a MindRecord file, checked before MindSpore reads it, which ends the process if the header is damaged.

A file begins with the length of the header (8 bytes, the least significant first) and the header, which is JSON.
"""
import os
from typing import Any

from src.common.json_files import MAX_BYTES, parse_json
from src.common.regular_files import open_regular

_PAGE_TYPES = ("BLOB_DATA", "RAW_DATA")
_COUNT = "a whole number that is not larger than the file, or than the size of its header or of a page"
_GROUP = {"id": _COUNT, "offset": _COUNT}
_PAGE = {"end_row_id": _COUNT, "page_id": _COUNT, "page_size": _COUNT, "page_type": _PAGE_TYPES, "page_type_id": _COUNT,
         "row_group_ids": [_GROUP], "shard_id": (0,), "start_row_id": _COUNT}


def check_header(path: str, columns: tuple[str, ...]) -> None:
    """Check the header of a file that holds int32 sequences in these columns.

    Raises:
        OSError: the file cannot be read.
        ValueError: it has no such header, or names another file.
    """
    with open_regular(path) as stream:
        length, size = int.from_bytes(stream.read(8), "little"), os.fstat(stream.fileno()).st_size
        if length > min(size, MAX_BYTES):
            raise ValueError(f"its header would have {length:,} bytes")
        header = parse_json(stream.read(length))
    form = {
        "header_size": _COUNT, "index_fields": (None,), "page": [_PAGE], "page_size": _COUNT,
        "compression_size": _COUNT,
        "schema": [{"blob_fields": (sorted(columns),), "desc": str,
                    "schema": ({column: {"shape": [-1], "type": "int32"} for column in columns},)}],
        "shard_addresses": ([os.path.basename(path)],), "shard_id": (0,), "statistics": (None,), "version": ("3.0",),
    }
    _require(header, form, size, "its header")


def _require(value: Any, form: Any, limit: int, where: str) -> None:
    """Raise a ValueError unless a value has a form: a dict or list of forms, a type, _COUNT or a tuple of values."""
    if isinstance(form, dict):
        valid = isinstance(value, dict) and value.keys() == form.keys()
    elif isinstance(form, list):
        valid = isinstance(value, list)
    elif isinstance(form, tuple):
        valid = value in form and type(value) in map(type, form)
    else:
        valid = type(value) is int and 0 <= value <= limit if form is _COUNT else isinstance(value, form)
    if not valid:
        raise ValueError(f"{where} is {ascii(value)[:60]}")
    for key in form if isinstance(form, dict) else ():
        _require(value[key], form[key], limit, f"{where}, {key}")
    for entry in value if isinstance(form, list) else ():
        _require(entry, form[0], limit, f"an entry of {where}")
