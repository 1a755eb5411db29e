"""The files that eval.py writes: predictions as JSON lines and as readable text, metrics.json, or plain lines."""
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from src.common.errors import UsageError
from src.common.files import atomic_output, make_output_folder
from src.common.json_files import read_json
from src.common.json_output import json_text, write_json_text
from src.common.output_checks import require_replaceable

METRICS_FILE = "metrics.json"
SUBJECT = ("checkpoint", "checkpoint_step", "checkpoint_digest", "test_dataset", "test_digest",
           "vocabulary_fingerprint")
"""The keys of metrics.json that name the model and the data; the digests are those of their content."""


def readable_path(path: str) -> str:
    """Return the path of the readable text file beside an output file."""
    return os.path.splitext(path)[0] + ".txt"


def metrics_path(path: str) -> str:
    """Return the path of metrics.json beside an output file."""
    return os.path.join(os.path.dirname(path), METRICS_FILE)


def check_output(path: str, overwrite: bool = False) -> None:
    """Raise a UsageError if an output file cannot be written, or would replace a file that eval.py did not write."""
    if readable_path(path) == path:
        raise UsageError(f"--output {path!r} must not end in .txt, the ending of the readable text that is written "
                         f"beside it; use the ending .jsonl")
    if os.path.basename(path) == METRICS_FILE:
        raise UsageError(f"--output {path!r} is the name of the file of scores that is written beside it; choose "
                         f"another name")
    if os.path.exists(readable_path(path)) and not os.path.exists(path):
        raise UsageError(f"--output {path!r}: the readable text would replace {readable_path(path)!r}, which does not "
                         f"belong to an earlier output; choose another name")
    check_file(path, "--output", overwrite)


def check_file(path: str, flag: str, overwrite: bool) -> None:
    """Raise a UsageError if an output file cannot be written, or exists and must not be replaced."""
    if os.path.isdir(path):
        raise UsageError(f"{flag} {path!r} is a folder; give a file")
    require_replaceable(path, flag)
    if os.path.exists(path) and not overwrite:
        raise UsageError(f"{flag} {path!r} exists: give --overwrite to replace it, or choose another name")
    make_output_folder(os.path.dirname(path) or ".")


def write_predictions(path: str, entries: Iterable[Mapping[str, Any]]) -> None:
    """Write entries as JSON lines to `path` and as blocks of `key: value` lines to the readable file beside it."""
    with (atomic_output(path) as lines_path, atomic_output(readable_path(path)) as text_path,
          open(lines_path, "w", encoding="utf-8") as lines, open(text_path, "w", encoding="utf-8") as text):
        for number, entry in enumerate(entries, start=1):
            lines.write(json_text(entry) + "\n")
            width = max(map(len, entry))
            text.write(f"[{number}]\n" + "".join(f"{key:>{width}}: {value}\n" for key, value in entry.items()) + "\n")


def write_lines(path: str | None, batches: Iterable[Iterable[str]]) -> None:
    """Write lines as UTF-8 text, to standard output if the path is None; each batch is written when it is ready."""
    if path is None:
        for batch in batches:
            sys.stdout.buffer.write("".join(f"{line}\n" for line in batch).encode("utf-8"))
            sys.stdout.buffer.flush()
        return
    with atomic_output(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as stream:
        for batch in batches:
            stream.writelines(f"{line}\n" for line in batch)


def check_metrics(output_path: str, described: Mapping[str, Any], overwrite: bool) -> None:
    """Refuse to replace other scores.

    Args:
        described: the entries of the new metrics.json that say what is scored and how: SUBJECT and the signature, if
            the metric has one.

    Raises:
        UsageError: an entry of an existing metrics.json beside the output differs from those.
    """
    path = metrics_path(output_path)
    if overwrite or not os.path.exists(path):
        return
    earlier = _read_metrics(path)
    other = ["not the scores of this version of eval.py"] if earlier is None else [
        name for name, value in described.items() if name in earlier and value != earlier[name]]
    if other:
        raise UsageError(f"{path!r} holds other scores (different: {', '.join(other)}): give --overwrite to replace "
                         f"it, or put --output into another folder")


def write_metrics(output_path: str, metrics: dict[str, Any]) -> str:
    """Write `metrics.json` into the folder of the output file and return its path.

    Entries of an existing file for the same model and data (from other metrics) are kept. Scores that are not finite
    become null.
    """
    path = metrics_path(output_path)
    earlier = _read_metrics(path) if os.path.isfile(path) else None
    if earlier and all(earlier[name] == metrics[name] for name in SUBJECT):
        metrics = {**earlier, **metrics}
    write_json_text(path, metrics)
    return path


def _read_metrics(path: str) -> dict[str, Any] | None:
    """Return the content of a metrics.json, or None if eval.py did not write it or wrote it in another version."""
    try:
        content = read_json(path, paths=True)
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and content.keys() >= set(SUBJECT) else None
