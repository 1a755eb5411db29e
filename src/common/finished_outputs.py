"""What earlier runs have finished in a folder, so that a repeated run need not do it again.

Beside the outputs stands a hidden folder with a small JSON for each of them: its inputs and its files (size and time of
modification), the settings that made it, and its summary. A note is written after its files have their final
names; it no longer counts when one of the inputs, files or settings has changed, or when it is damaged. Notes are
separate files, so runs at the same time do not disturb each other.
"""
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from src.common.files import atomic_output, make_output_folder, remove_dead_scratch

FOLDER = ".finished"
_FORMAT = 1
Stamp = list[str | int]


class FinishedOutputs:
    """The finished outputs of one folder. Opening it makes the folder and removes what killed runs have left."""

    def __init__(self, folder: str, overwrite: bool = False):
        """With `overwrite`, nothing counts as finished."""
        self.folder = make_output_folder(folder)
        self._overwrite = overwrite
        for made_in in (folder, os.path.join(folder, FOLDER)):
            remove_dead_scratch(made_in)

    def task(self, name: str, inputs: Sequence[str], settings: Mapping[str, object]) -> "Task":
        """The making of output `name` (of any number of files) from files `inputs` with `settings`.

        Call it before the inputs are read: their state of now is what `finish` notes down.

        Args:
            name: of the output, unique in the folder; the name of its main file, say.
            settings: all that the output depends on beside the inputs, as JSON knows it: flags, `file_digest` of
                vocabularies and codes, versions of tools and of our own format.
        """
        identity = {"format": _FORMAT, "inputs": [_stamp(path) for path in inputs], "settings": dict(settings)}
        task = Task(os.path.join(self.folder, FOLDER, f"{name}.json"), self.folder, identity)
        return task if self._overwrite else task.with_note_of_earlier_run()


@dataclass
class Task:
    """The making of one output."""

    note_path: str
    folder: str
    identity: dict[str, object]
    summary: dict[str, object] | None = field(default=None)
    """What `finish` was given when an earlier run finished this very output; None if it has to be made."""

    def finish(self, outputs: Sequence[str], summary: Mapping[str, object]) -> None:
        """Note that the files `outputs` (inside the folder) are complete under their final names.

        `summary` is what a later run wants to know without reading them: a dictionary as JSON knows it.
        """
        note = {**self.identity, "outputs": [self._output_stamp(path) for path in outputs], "summary": dict(summary)}
        with atomic_output(self.note_path) as temporary, open(temporary, "w", encoding="utf-8") as stream:
            json.dump(note, stream, indent=1)

    def with_note_of_earlier_run(self) -> "Task":
        try:
            with open(self.note_path, encoding="utf-8") as stream:
                note = json.load(stream)
            stamps, summary = note.pop("outputs"), note.pop("summary")
            unchanged = note == json.loads(json.dumps(self.identity)) and stamps == [
                self._output_stamp(os.path.join(self.folder, stamp[0])) for stamp in stamps
            ]
        except (OSError, ValueError, TypeError, AttributeError, LookupError):  # none, damaged, or a file is missing
            return self
        if unchanged and isinstance(summary, dict):
            self.summary = summary
        return self

    def _output_stamp(self, path: str) -> Stamp:
        return [os.path.relpath(path, self.folder), *_stamp(path)[1:]]


def file_digest(path: str) -> str:
    """sha256 of a file's content, for `settings`."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _stamp(path: str) -> Stamp:
    state = os.stat(path)
    return [os.path.abspath(path), state.st_size, state.st_mtime_ns]
