"""What eval.py writes: one JSON object a line, the same for readers, and metrics.json; or plain lines."""
import json
import os
import sys
from collections.abc import Iterable
from typing import Any

from src.common.errors import UsageError
from src.common.files import atomic_output, make_output_folder

METRICS_FILE = "metrics.json"
SUBJECT = ("checkpoint", "checkpoint_step", "test_dataset", "vocabulary_fingerprint")  # what was measured


def readable_path(path: str) -> str:
    """The readable text file beside an output file."""
    return os.path.splitext(path)[0] + ".txt"


def metrics_path(path: str) -> str:
    """The scores beside an output file."""
    return os.path.join(os.path.dirname(path), METRICS_FILE)


def check_output(path: str, overwrite: bool = False) -> None:
    """Refuse, before any work is done, an output that cannot be written or would be its own readable file."""
    if readable_path(path) == path:
        raise UsageError(f"--output {path!r} must not end in .txt: the readable text goes beside it under that ending; "
                         f"end it in .jsonl")
    if os.path.basename(path) == METRICS_FILE:
        raise UsageError(f"--output {path!r}: the scores go into a file of that name beside it; choose another")
    if os.path.exists(readable_path(path)) and not os.path.exists(path):
        raise UsageError(f"--output {path!r}: the readable text would replace {readable_path(path)!r}, which is not of "
                         f"an earlier output; choose another name")
    check_file(path, "--output", overwrite)


def check_file(path: str, flag: str, overwrite: bool) -> None:
    """Refuse an output file that cannot be written, or exists and shall not be replaced."""
    if os.path.isdir(path):
        raise UsageError(f"{flag} {path!r} is a folder; give a file")
    if os.path.exists(path) and not overwrite:
        raise UsageError(f"{flag} {path!r} exists: give --overwrite to replace it, or choose another name")
    make_output_folder(os.path.dirname(path) or ".")


def write_answers(path: str, answers: Iterable[dict[str, Any]]) -> None:
    """Write answers as JSON lines to `path` and as blocks of `key: value` lines to the readable file beside it."""
    with (atomic_output(path) as lines_path, atomic_output(readable_path(path)) as text_path,
          open(lines_path, "w", encoding="utf-8") as lines, open(text_path, "w", encoding="utf-8") as text):
        for number, answer in enumerate(answers, start=1):
            lines.write(json.dumps(answer, ensure_ascii=False) + "\n")
            text.write(f"[{number}]\n" + "".join(f"{key:>10}: {value}\n" for key, value in answer.items()) + "\n")


def write_lines(path: str | None, batches: Iterable[Iterable[str]]) -> None:
    """Write lines as UTF-8 text, to stdout if there is no path: those of a batch when it is there, not later."""
    if path is None:
        for batch in batches:
            sys.stdout.buffer.write("".join(f"{line}\n" for line in batch).encode("utf-8"))
            sys.stdout.buffer.flush()
        return
    with atomic_output(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as stream:
        for batch in batches:
            stream.writelines(f"{line}\n" for line in batch)


def check_metrics(output_path: str, metrics: dict[str, Any], overwrite: bool) -> None:
    """Refuse to replace other scores: `metrics` has SUBJECT and, of ROUGE, `signature`.

    Raises:
        UsageError: metrics.json beside the output is of something else.
    """
    path = metrics_path(output_path)
    if overwrite or not os.path.exists(path):
        return
    earlier = _read_metrics(path)
    other = ["no scores of eval.py"] if earlier is None else [
        name for name in (*SUBJECT, "signature") if name in metrics and name in earlier
        and metrics[name] != earlier[name]]
    if other:
        raise UsageError(f"{path!r} holds other scores (different: {', '.join(other)}): give --overwrite to replace "
                         f"it, or put --output into another folder")


def write_metrics(output_path: str, metrics: dict[str, Any]) -> str:
    """Write `metrics.json` into the folder of the output file; returns its path.

    What is there of the same model on the same data (by the other metric) is kept.
    """
    path = metrics_path(output_path)
    earlier = _read_metrics(path) if os.path.isfile(path) else None
    if earlier and all(earlier[name] == metrics[name] for name in SUBJECT):
        metrics = {**earlier, **metrics}
    with atomic_output(path) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        json.dump(metrics, stream, indent=2)
        stream.write("\n")
    return path


def _read_metrics(path: str) -> dict[str, Any] | None:
    """What stands in a metrics.json; None if that is not a file of ours, or of another version."""
    try:
        with open(path, encoding="utf-8") as stream:
            content = json.load(stream)
    except ValueError:
        return None
    return content if isinstance(content, dict) and content.keys() >= set(SUBJECT) else None
