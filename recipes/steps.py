"""Running commands one after another, and skipping those that are up to date."""
import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from types import FrameType
from typing import NamedTuple

from src.common.errors import MassError
from src.common.files import make_output_folder
from src.common.finished_outputs import Stamp, file_stamp
from src.common.interruption import END_SIGNALS
from src.common.json_files import read_json, take_checksum, write_json
from src.common.processes import wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
"""The folder of the repository, in which all commands run."""

STEPS_FOLDER, ASIDE_FOLDER = "steps", "set_aside"
_FORMAT = 2


def path_in_root(path: str) -> str:
    """Return a path relative to the repository's folder; symbolic links are resolved, as `..` would lead elsewhere."""
    return os.path.relpath(os.path.realpath(path), ROOT)


class Step(NamedTuple):
    """A command that makes one file or folder."""

    name: str
    command: Sequence[str]  # the program first
    output: str
    inputs: Sequence[str] = ()  # the files that it reads, and folders of which it reads every file
    resumable: bool = False  # if the command was interrupted, running it again continues in its output
    others: Sequence[str] = ()  # further files that it makes

    @property
    def outputs(self) -> tuple[str, ...]:
        """Everything that the command makes."""
        return (self.output, *self.others)


class Steps:
    """Runs the steps of one run folder, from the repository's folder.

    A step is up to date, and is skipped, if it was finished by the same command and neither the files that it made nor
    its inputs have changed since. Files that others have put into its output do not matter. Otherwise its output is
    made again, unless the step can continue an interrupted command. An earlier output is removed; that of a resumable
    step, a training, or of an unknown one is moved to `<run folder>/set_aside/`. A note on each step is in
    `<run folder>/steps/`.

    Args:
        folder: the run folder, created if missing.
        dry_run: print the commands and run none.
    """

    def __init__(self, folder: str, dry_run: bool = False):
        self.dry_run = dry_run
        self.commands: list[list[str]] = []
        """The commands of all steps so far, also of those that were up to date, without the program."""
        self._folder, self._notes = folder, os.path.join(folder, STEPS_FOLDER)
        if not dry_run:
            make_output_folder(self._notes)

    def run(self, step: Step) -> None:
        """Run a step unless it is up to date.

        Raises:
            MassError: the command failed, with its exit code, or did not make its output.
        """
        self.commands.append(list(step.command[1:]))
        if self.dry_run:
            print(f"+ {shlex.join(step.command)}")
            return
        note_path = os.path.join(self._notes, f"{step.name}.json")
        identity = {"format": _FORMAT, "command": list(step.command[1:]),
                    "inputs": [stamp for path in step.inputs for stamp in _stamps(path)]}
        note = _read_note(note_path)
        same = note is not None and note["identity"] == identity
        if same and note["output"] and all(map(_is_unchanged, note["output"])):
            print(f"up to date: {step.name} ({step.output})", flush=True)
            return
        if not (same and step.resumable and note["output"] is None):
            earlier = self._notes_of(step.outputs)
            cheap = bool(earlier) and not any(made["resumable"] for made in earlier.values())
            for output in step.outputs:
                self._clear(output, keep=not cheap)
            for path in earlier:
                os.remove(path)
        note = {"identity": identity, "outputs": [os.path.abspath(output) for output in step.outputs],
                "resumable": step.resumable, "output": None}
        write_json(note_path, note, checksum=True)
        started = time.monotonic()
        print(f"\n+ {shlex.join(step.command)}", flush=True)
        _require_success(step.name, _call(step.command))
        stamps = [_stamps(output) for output in step.outputs]
        if missing := [output for output, found in zip(step.outputs, stamps, strict=True) if not found]:
            raise MassError(f"step {step.name!r} did not make {missing[0]}")
        write_json(note_path, {**note, "output": sum(stamps, [])}, checksum=True)
        print(f"({step.name}: {time.monotonic() - started:.0f} s)", flush=True)

    def _clear(self, output: str, keep: bool) -> None:
        """Remove an earlier output; with `keep`, move it aside."""
        if not keep or not os.path.lexists(output):
            _remove(output)
            return
        aside = make_output_folder(os.path.join(self._folder, ASIDE_FOLDER))
        number = 1
        while os.path.lexists(target := os.path.join(aside, f"{os.path.basename(output)}-{number}")):
            number += 1
        os.rename(output, target)
        print(f"\nThe earlier {output} is of other data or settings, or was changed: it is now {target}", flush=True)

    def _notes_of(self, outputs: Sequence[str]) -> dict[str, dict]:
        """Return the notes of all steps that have made, or begun, one of these outputs or a part of it, by path."""
        wanted = list(map(os.path.abspath, outputs))
        paths = [os.path.join(self._notes, name) for name in sorted(os.listdir(self._notes))]
        found = {path: note for path in paths if (note := _read_note(path)) is not None}
        return {path: note for path, note in found.items()
                if any(_overlap(made, output) for made in note["outputs"] for output in wanted)}


def is_finished(folder: str, name: str) -> bool:
    """Return whether a step of a run folder was finished, and no other has replaced its output since."""
    note = _read_note(os.path.join(folder, STEPS_FOLDER, f"{name}.json"))
    return note is not None and bool(note["output"])


def _require_success(name: str, code: int) -> None:
    """Raise a MassError with the exit code of a command, unless it is 0."""
    if not code:
        return
    if code < 0:
        killed = "; the system kills programs so when memory runs out" if code == -signal.SIGKILL else ""
        error = MassError(f"step {name!r} was ended by {signal.Signals(-code).name}{killed}")
    else:
        error = MassError(f"step {name!r} failed with exit code {code}; its message is above")
    error.exit_code = code if code > 0 else 128 - code
    raise error


def _call(command: Sequence[str]) -> int:
    """Run a command and return its exit code, the negative number of a signal that ended it.

    SIGINT, SIGTERM and SIGHUP are passed on to the command, which saves what it must and ends; then this process ends
    in the same way.
    """
    received: list[int] = []
    children: list[subprocess.Popen] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if number != signal.SIGINT:  # Ctrl-C reaches the command, too
            for child in children:
                child.send_signal(number)

    earlier = {number: signal.getsignal(number) for number in END_SIGNALS}
    try:
        for number, handler in earlier.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, pass_on)
        children.append(subprocess.Popen(list(command)))
        if received and received[0] != signal.SIGINT:
            children[0].send_signal(received[0])
        code = wait_for(children[0])
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
    if received:
        signal.raise_signal(received[0])
    return code


def _stamps(path: str) -> list[Stamp]:
    """Return path, size and time of change of a file, or of all files in a folder; empty if there is none."""
    if os.path.isdir(path):
        files = sorted(os.path.join(where, name) for where, _, names in os.walk(path) for name in names)
    else:
        files = [path] if os.path.exists(path) else []
    return [file_stamp(file) for file in files]


def _overlap(first: str, second: str) -> bool:
    return os.path.commonpath([first, second]) in (first, second)


def _is_unchanged(stamp: Stamp) -> bool:
    return os.path.exists(stamp[0]) and file_stamp(stamp[0]) == stamp


def _read_note(path: str) -> dict | None:
    """Return the note of a step, None if there is none or it is damaged."""
    try:
        note = read_json(path)
        take_checksum(note, required=True)
        note = {"outputs": [], "resumable": False, **note}  # the first notes lack these
        json.dumps([note[key] for key in ("identity", "outputs", "resumable", "output")])
        return note
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)
