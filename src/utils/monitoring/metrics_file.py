"""metrics.jsonl: the events of a training run, one JSON object per line.

Each object has a checksum of its own, so that lines can be appended, and removed by hand. It is the first entry: a line
that has lost any part but its beginning still says that it has one. Files of earlier versions have none, or have it as
the last entry.
"""
import os
from typing import Any

from src.common.errors import MassError
from src.common.files import atomic_output, require_file
from src.common.json_files import CHECKSUM, checksum_of, parse_json, take_checksum
from src.common.json_output import finite, json_text
from src.common.text_files import read_lines
from src.common.written_files import errors_name

TRAINING_METRICS_FILE = "metrics.jsonl"


def read_metrics(path: str) -> list[dict[str, Any]]:
    """Read the entries of a metrics file, in the order in which they were written.

    An incomplete last line (the run was killed while it wrote) is ignored. Either all lines have checksums or none has.

    Raises:
        MassError: the file is missing, or another line is not an entry or is damaged; the message names file and line.
    """
    lines = list(read_lines(require_file(path, "metrics file")))
    unfinished = len(lines) if lines and not _ends_with_newline(path) else None
    have_checksums = any(f'"{CHECKSUM}"' in line for line in lines)
    entries = []
    for number, line in enumerate(lines, start=1):
        entry = _parse(line, have_checksums)
        if entry is None and number == unfinished:
            break
        if entry is None:
            raise MassError(f"{path}, line {number}: not an entry of a training run, or damaged; remove that line")
        entries.append(entry)
    return entries


def _ends_with_newline(path: str) -> bool:
    with open(path, "rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read() == b"\n"


def _parse(line: str, has_checksum: bool) -> dict[str, Any] | None:
    try:
        entry = parse_json(line)
        if isinstance(entry, dict) and next(iter(entry), "") not in (CHECKSUM, "event"):
            return None  # the beginning is lost, and the checksum with it
        if has_checksum and isinstance(entry, dict):
            take_checksum(entry, required=True)
    except ValueError:
        return None
    valid = (isinstance(entry, dict) and {"event", "step", "seconds"} <= entry.keys() and type(entry["step"]) is int
             and type(entry["seconds"]) in (int, float) and type(entry.get("ppl", 0)) in (int, float, type(None)))
    return entry if valid else None


class MetricsFile:
    """Writes the entries of a run, each immediately.

    A run that is resumed from step `resumed_step` continues the file; entries of later steps, which the run will write
    again, are removed. With 0, an existing file is replaced.
    """

    def __init__(self, path: str, resumed_step: int = 0):
        earlier = read_metrics(path) if resumed_step and os.path.exists(path) else []
        kept = [entry for entry in earlier if entry["step"] <= resumed_step]
        with atomic_output(path) as temporary, open(temporary, "w", encoding="utf-8") as stream:
            stream.writelines(map(_line, kept))
        self.seconds: float = kept[-1]["seconds"] if kept else 0.0  # of training, before this process
        self._path = path
        self._stream = open(path, "a", encoding="utf-8")  # noqa: SIM115

    def write(self, entry: dict[str, Any]) -> None:
        """Append an entry; a figure that is not finite becomes null, because JSON cannot represent it."""
        with errors_name(self._path):
            self._stream.write(_line(entry))
            self._stream.flush()

    def close(self) -> None:
        with errors_name(self._path):
            self._stream.close()


def _line(entry: dict[str, Any]) -> str:
    entry = finite(entry)
    return json_text({CHECKSUM: checksum_of(entry), **entry}) + "\n"
