"""Notes on the finished outputs of a folder, by which a repeated run skips outputs that are up to date.

A hidden folder beside the outputs holds one small JSON file per output: its inputs and its files (sizes and
modification times), its settings, and a summary. A note is written once the files of the output have their final names.
It is ignored if it is damaged or if any of the inputs, files or settings has changed. Each output has a note file of
its own, so concurrent runs do not interfere.
"""
import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from src.common.files import make_output_folder, remove_dead_scratch
from src.common.json_files import read_json, take_checksum, write_json

FOLDER = ".finished"
_FORMAT = 1
Stamp = list[str | int]


class FinishedOutputs:
    """The finished outputs of one folder.

    The constructor creates the folder and removes the unfinished files of killed runs.
    """

    def __init__(self, folder: str, overwrite: bool = False):
        """With `overwrite`, no output counts as finished."""
        self.folder = make_output_folder(folder)
        self._overwrite = overwrite
        for written in (folder, os.path.join(folder, FOLDER)):
            remove_dead_scratch(written)

    def task(self, name: str, inputs: Sequence[str], settings: Mapping[str, object]) -> "Task":
        """Return the task of making the output `name` (one or more files) from the files `inputs` with `settings`.

        Call this before reading the inputs, as `finish` records the state they have now.

        Args:
            name: a name that is unique in the folder, such as that of the main file of the output.
            inputs: paths of the files that the output is made from.
            settings: everything else that the output depends on, as a JSON object: flags, the `file_digest` of
                vocabularies and codes, versions of tools and of the output format.
        """
        identity = {"format": _FORMAT, "inputs": [file_stamp(path) for path in inputs], "settings": dict(settings)}
        task = Task(os.path.join(self.folder, FOLDER, f"{name}.json"), self.folder, identity)
        return task if self._overwrite else task.with_note_of_earlier_run()


    def warnings(self, wanted: Collection[str]) -> list[str]:
        """Return a line for the user about each finished output of which an input is gone, except for those `wanted`.

        The next step reads all outputs of the folder, also those of text that the user has removed.
        """
        lines, folder = [], os.path.join(self.folder, FOLDER)
        names = sorted(name.removesuffix(".json") for name in os.listdir(folder)) if os.path.isdir(folder) else []
        for name in names:
            output = os.path.join(self.folder, name)
            if name in wanted or not os.path.exists(output):
                continue
            try:
                paths = [path for path, *_ in _read_note(os.path.join(folder, f"{name}.json"))["inputs"]]
                gone = [path for path in paths if not os.path.exists(path)]
            except _DAMAGED:
                continue
            if gone:
                lines.append(f"warning: {output} was made from {gone[0]}, which is gone; the next step reads it unless "
                             f"you remove it")
        return lines


@dataclass
class Task:
    """The task of making one output."""

    note_path: str
    folder: str
    identity: dict[str, object]
    summary: dict[str, object] | None = field(default=None)
    """What an earlier run passed to `finish` for the same output; None if the output has to be made."""

    def finish(self, outputs: Sequence[str], summary: Mapping[str, object]) -> None:
        """Record that the files `outputs` in the folder are complete under their final names.

        `summary` is a JSON object with what a later run needs to know without reading the files.
        """
        note = {**self.identity, "outputs": [self._output_stamp(path) for path in outputs], "summary": dict(summary)}
        write_json(self.note_path, note, checksum=True, indent=1)

    def with_note_of_earlier_run(self) -> "Task":
        """Set `summary` from the note of an earlier run if the output is up to date; return the task."""
        try:
            note = _read_note(self.note_path)
            stamps, summary = note.pop("outputs"), note.pop("summary")
            unchanged = note == json.loads(json.dumps(self.identity)) and stamps == [
                self._output_stamp(os.path.join(self.folder, name)) for name, *_ in stamps]
        except _DAMAGED:
            return self
        if unchanged and isinstance(summary, dict):
            self.summary = summary
        return self

    def _output_stamp(self, path: str) -> Stamp:
        return [os.path.relpath(path, self.folder), *file_stamp(path)[1:]]


_DAMAGED = (OSError, ValueError, TypeError, AttributeError, LookupError)  # what reading a note raises, if there is one


def _read_note(path: str) -> dict:
    note = read_json(path, paths=True)
    take_checksum(note, required=True)
    return note


def file_stamp(path: str) -> Stamp:
    """Return path, size and time of change of a file, by which a later run sees whether it is the same."""
    state = os.stat(path)
    return [os.path.abspath(path), state.st_size, state.st_mtime_ns]
