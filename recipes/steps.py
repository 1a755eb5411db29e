"""Running commands one after another, and skipping those that are up to date."""
import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import NamedTuple

from src.common.errors import MassError
from src.common.files import make_output_folder, require_folder
from src.common.finished_outputs import Stamp, file_stamp
from src.common.interruption import END_SIGNALS
from src.common.json_files import read_json, take_checksum, write_json

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
"""The folder of the repository, in which all commands run."""

STEPS_FOLDER = "steps"
_FORMAT = 1


class Step(NamedTuple):
    """A command that makes one file or folder."""

    name: str
    command: Sequence[str]  # the program first; the second word is its script, or -m
    output: str
    resumable: bool = False  # if the command was interrupted, running it again continues in its output
    others: Sequence[str] = ()  # further files that it makes

    @property
    def outputs(self) -> tuple[str, ...]:
        """Everything that the command makes."""
        return (self.output, *self.others)


class Steps:
    """Runs the steps of one run folder, from the repository's folder.

    A step is up to date, and is skipped, if it was finished by the same command and neither its output nor any file
    that the command names, or that is in a folder that it names, has changed since. Otherwise its output is removed and
    made again, unless the step can continue an interrupted command. A note on each step is in `<run folder>/steps/`.

    Args:
        folder: the run folder, created if missing.
        dry_run: print the commands and run none.
    """

    def __init__(self, folder: str, dry_run: bool = False):
        self.dry_run = dry_run
        self._notes = os.path.join(folder, STEPS_FOLDER)
        if not dry_run:
            make_output_folder(self._notes)

    def run(self, step: Step) -> None:
        """Run a step unless it is up to date.

        Raises:
            MassError: the command failed, with its exit code, or did not make its output.
        """
        if self.dry_run:
            print(f"+ {shlex.join(step.command)}")
            return
        note_path = os.path.join(self._notes, f"{step.name}.json")
        identity = {"format": _FORMAT, "command": list(step.command), "inputs": list(_inputs(step))}
        note = _read_note(note_path)
        same = note is not None and note["identity"] == identity
        if same and note["output"] == _stamps_of_outputs(step) and note["output"]:
            print(f"up to date: {step.name} ({step.output})", flush=True)
            return
        if not (same and step.resumable and note["output"] is None):
            for output in step.outputs:
                _remove(output)
        write_json(note_path, {"identity": identity, "output": None}, checksum=True)
        started = time.monotonic()
        print(f"\n+ {shlex.join(step.command)}", flush=True)
        code = _call(step.command)
        if code:
            error = MassError(f"step {step.name!r} failed with exit code {code}; its message is above")
            error.exit_code = code if code > 0 else 1
            raise error
        made = _stamps_of_outputs(step)
        if missing := [output for output in step.outputs if not _stamps(output)]:
            raise MassError(f"step {step.name!r} did not make {missing[0]}")
        write_json(note_path, {"identity": identity, "output": made}, checksum=True)
        print(f"({step.name}: {time.monotonic() - started:.0f} s)", flush=True)


def is_finished(folder: str, name: str) -> bool:
    """Return whether a step of a run folder was finished."""
    note = _read_note(os.path.join(folder, STEPS_FOLDER, f"{name}.json"))
    return note is not None and bool(note["output"])


def commands_of(folder: str) -> list[list[str]]:
    """Return the commands of the finished steps of a run folder, without the program, in the order of their ends."""
    notes = require_folder(os.path.join(folder, STEPS_FOLDER), "notes on the steps of a recipe")
    paths = sorted((os.path.join(notes, name) for name in os.listdir(notes)), key=os.path.getmtime)
    found = [note for path in paths if (note := _read_note(path)) is not None and note["output"]]
    return [note["identity"]["command"][1:] for note in found]


def _call(command: Sequence[str]) -> int:
    """Run a command and return its exit code, 128 + the signal's number if a signal ended it.

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
        code = children[0].wait()
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
    if received:
        signal.raise_signal(received[0])
    return code if code >= 0 else 128 - code


def _inputs(step: Step) -> Iterator[Stamp]:
    """Yield stamps of the files that a command names, but for its program and its output.

    A word names a file or folder, several folders separated by commas, or a setting node.key=PATH.
    """
    program = 3 if "-m" in step.command[:3] else 2
    names = dict.fromkeys(name for word in step.command[program:] for name in (word.rpartition("=")[2]).split(","))
    for path in names:
        if path and not any(_is_within(path, output) or _is_within(output, path) for output in step.outputs):
            yield from _stamps(path)


def _is_within(path: str, folder: str) -> bool:
    return f"{path}{os.sep}".startswith(f"{folder}{os.sep}")


def _stamps_of_outputs(step: Step) -> list[Stamp]:
    return [stamp for output in step.outputs for stamp in _stamps(output)]


def _stamps(path: str) -> list[Stamp]:
    """Return path, size and time of change of a file, or of all files in a folder; empty if there is none."""
    if os.path.isdir(path):
        files = sorted(os.path.join(where, name) for where, _, names in os.walk(path) for name in names)
    else:
        files = [path] if os.path.exists(path) else []
    return [file_stamp(file) for file in files]


def _read_note(path: str) -> dict | None:
    """Return the note of a step, None if there is none or it is damaged."""
    try:
        note = read_json(path)
        take_checksum(note, required=True)
        json.dumps((note["identity"], note["output"]))
        return note
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)
