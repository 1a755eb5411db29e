"""The tools that all steps of data preparation share: finished outputs, unfinished files, progress, flags."""
import argparse
import io
import json
import os
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from src.common import progress
from src.common.arguments import RunOptions, add_run_flags, run_options
from src.common.errors import UsageError
from src.common.files import atomic_output, atomic_outputs, file_digest, remove_dead_scratch, scratch_prefix
from src.common.finished_outputs import FOLDER, FinishedOutputs
from src.common.processes import ProcessIdentity
from src.common.progress import Progress

SETTINGS = {"tokenizer": "nltk", "shards": 2, "share": 0.1}


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with two inputs; `out` holds the finished output `set`, which consists of two files."""
    for name in ("a", "b"):
        (tmp_path / name).write_text(f"text of {name}")
    task = set_task(tmp_path)
    assert task.summary is None
    paths = [tmp_path / "out" / name for name in ("set.0", "set.1")]
    for path in paths:
        path.write_text("made")
    task.finish([str(path) for path in paths], {"lines": 3, "counts": {"x": 1}})
    return tmp_path


def set_task(folder, inputs=("a", "b"), settings=SETTINGS, overwrite=False, name="set"):
    finished = FinishedOutputs(str(folder / "out"), overwrite)
    return finished.task(name, [str(folder / path) for path in inputs], settings)


def test_a_finished_output_is_recognized_with_its_summary(folder):
    assert set_task(folder).summary == {"lines": 3, "counts": {"x": 1}}
    assert set_task(folder, settings={**SETTINGS}).summary is not None
    assert [path.name for path in (folder / "out" / FOLDER).iterdir()] == ["set.json"]


@pytest.mark.parametrize(
    "change",
    [
        {"overwrite": True},
        {"inputs": ("a",)},
        {"inputs": ("b", "a")},
        {"settings": {**SETTINGS, "shards": 3}},
        {"settings": {}},
        {"name": "other"},
    ],
)
def test_another_task_is_not_finished(folder, change):
    assert set_task(folder, **change).summary is None


def rewrite(path: Path, text: str) -> None:
    """Replace a file by another one under the same name, as editors do."""
    path.with_suffix(".new").write_text(text)
    os.replace(path.with_suffix(".new"), path)


@pytest.mark.parametrize("path", ["a", "out/set.0", "out/set.1"])
def test_a_file_that_has_changed_or_is_missing_makes_a_task_unfinished(folder, path):
    before = os.stat(folder / path)
    rewrite(folder / path, "x" * before.st_size)  # of the same size
    assert set_task(folder).summary is None
    os.utime(folder / path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert set_task(folder).summary is not None
    if path != "a":
        (folder / path).unlink()
        assert set_task(folder).summary is None


@pytest.mark.parametrize("name", ["a:b", "a\\b", "a\u200bb", os.fsdecode(b"na\xefve"), ".a"])
def test_any_name_of_a_file_is_recognized_again(tmp_path, name):
    place = tmp_path / os.fsdecode(b"f\xfcr")
    (place / "out").mkdir(parents=True)
    (place / name).write_text("text")
    (place / "out" / name).write_text("made")
    set_task(place, [name], name=name).finish([str(place / "out" / name)], {"lines": 1})
    assert set_task(place, [name], name=name).summary == {"lines": 1}


def test_an_output_whose_input_is_gone_is_mentioned(folder):
    finished = FinishedOutputs(str(folder / "out"))
    (folder / "out" / "set").write_text("the main file of the output")
    assert finished.warnings([]) == []
    (folder / "b").unlink()
    [line] = finished.warnings(["another"])
    assert str(folder / "out" / "set") in line and f"made from {folder / 'b'}, which is gone" in line
    assert finished.warnings(["set"]) == []
    (folder / "out" / "set").unlink()
    assert finished.warnings([]) == []


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"{}", b"null", b"\xff", b'{"outputs": 3, "summary": {}}'])
def test_a_damaged_note_is_ignored(folder, damage):
    (folder / "out" / FOLDER / "set.json").write_bytes(damage)
    assert set_task(folder).summary is None


def test_a_note_with_a_damaged_summary_is_ignored(folder):
    note = folder / "out" / FOLDER / "set.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "summary": 3}))
    assert set_task(folder).summary is None


def test_an_input_that_changes_while_it_is_read_makes_a_task_unfinished(folder):
    task = set_task(folder, overwrite=True)
    rewrite(folder / "a", "changed in the meantime")
    task.finish([str(folder / "out" / "set.0")], {})
    assert set_task(folder).summary is None


def test_the_digest_is_that_of_the_content(folder):
    assert file_digest(str(folder / "a")) != file_digest(str(folder / "b"))
    before = file_digest(str(folder / "a"))
    rewrite(folder / "a", "text of a")
    assert file_digest(str(folder / "a")) == before


# Unfinished files


def dead_process() -> ProcessIdentity:
    """Return the identity of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return replace(ProcessIdentity.own(), pid=process.pid)


def test_only_files_of_processes_that_are_certainly_dead_are_removed(tmp_path):
    dead, own = dead_process(), ProcessIdentity.own()
    others = (own, replace(dead, boot="0" * 31 + "1"), replace(dead, namespace="1"), replace(dead, boot="0"))
    kept = [*(f"{scratch_prefix(other)}abc" for other in others), "data", f"{scratch_prefix(dead)}abc-x",
            f".partial-{platform.node()}-{dead.pid}-abc", f".partial-{dead.boot}-{dead.pid}-abc", ".partial--abc"]
    removed = [f"{scratch_prefix(dead)}abc", f"{scratch_prefix(replace(own, started='1'))}abc"]  # the id is used again
    for name in (*kept, *removed):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").write_text("x")
    remove_dead_scratch(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == sorted(kept)
    (tmp_path / f"{scratch_prefix(dead)}def").mkdir()
    FinishedOutputs(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == sorted(kept)


def test_the_first_output_in_a_folder_cleans_it(tmp_path):
    (tmp_path / f"{scratch_prefix(dead_process())}abc").mkdir()
    with atomic_output(str(tmp_path / "f")) as path:
        Path(path).write_text("done")
        assert "f" not in os.listdir(tmp_path) and len(os.listdir(tmp_path)) == 1
    assert os.listdir(tmp_path) == ["f"]


@pytest.mark.parametrize("output", [lambda folder: atomic_output(str(folder / "f")), lambda f: atomic_outputs(str(f))])
def test_a_failure_leaves_nothing(tmp_path, output):
    with pytest.raises(RuntimeError), output(tmp_path):
        raise RuntimeError
    assert os.listdir(tmp_path) == []


# Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """The time that `Progress` reads."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_an_occasional_line_with_rate_and_remaining_time(clock):
    log = io.StringIO()
    with Progress("encode", 1000, "lines", stream=log) as shown:
        for _ in range(10):
            clock[0] += 9
            shown.update(90)
    lines = log.getvalue().splitlines()
    assert len(lines) == 3  # after 27, 54 and 81 seconds
    assert lines[0] == "encode: 27% (270 lines of 1,000 lines), 10 lines/s, 01:13 left"


def test_bytes_and_unknown_totals(clock):
    log = io.StringIO()
    with Progress("read", None, "B", stream=log) as shown:
        clock[0] += 60
        shown.update(120_000_000)
    assert log.getvalue() == "read: 120MB, 2.00MB/s\n"


def test_short_and_quiet_operations_print_nothing(clock):
    log, terminal = io.StringIO(), Terminal()
    with Progress("encode", 10, "lines", stream=log) as shown:
        clock[0] += 5
        shown.update(10)
    with Progress("encode", 10, "lines", quiet=True, stream=log) as shown:
        clock[0] += 500
        shown.update(5)
    with Progress("encode", 10, "lines", quiet=True, stream=terminal) as shown:
        shown.update(5)
    assert log.getvalue() == terminal.getvalue() == ""


def test_a_terminal_gets_a_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress("count", 5, "lines") as shown:
        for _ in range(5):
            shown.update()
    assert "count" in terminal.getvalue() and "lines/s" in terminal.getvalue()


# Flags


def test_flags_and_their_errors():
    parser = argparse.ArgumentParser()
    add_run_flags(parser, ("--pool_size", "--processes"), 3)
    assert run_options(parser.parse_args([]), "--pool_size") == RunOptions(3)
    given = parser.parse_args(["--pool_size", "1", "--errors", "replace", "--overwrite", "--quiet"])
    assert run_options(given, "--pool_size") == RunOptions(1, "replace", True, True)
    assert run_options(parser.parse_args(["--processes", "5"]), "--pool_size") == RunOptions(5)
    with pytest.raises(UsageError, match="--pool_size 0: give 1 process or more"):
        run_options(parser.parse_args(["--pool_size", "0"]), "--pool_size")
