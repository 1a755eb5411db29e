"""Outputs of many lines that are continued after an interruption, and what is refused or made anew."""
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.common.errors import MassError, UsageError
from src.common.json_files import read_json, write_json
from src.common.resumable_output import ResumableOutput

JOB = {"input": "digest", "settings": {"beam": 4}}


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "out.txt")


def interrupt(path, blocks, job=JOB):
    """Write blocks of lines, and end without finishing."""
    with ResumableOutput(path, job) as output:
        for block in blocks:
            output.append(block, {"blocks": len(block)})
        return output.count


def forge(path, change):
    """Change entries of a note and give it the right checksum; None removes an entry."""
    content = {**read_json(str(path)), **change}
    del content["checksum"]
    write_json(str(path), {name: value for name, value in content.items() if value is not None}, checksum=True)


def replace(path, old, new):
    path.write_text(path.read_text().replace(old, new))


def lines_of(path):
    with open(path, encoding="utf-8", newline="") as stream:
        return stream.read().split("\n")[:-1]


def test_an_equal_job_continues_after_the_finished_lines(path):
    assert interrupt(path, [["a", ""], ["ü"]]) == 3 and not os.path.exists(path)
    with ResumableOutput(path, dict(reversed(JOB.items()))) as output:
        assert (output.count, output.notes) == (3, {"blocks": 1})
        output.append(["d"], {})
        output.finish()
    assert lines_of(path) == ["a", "", "ü", "d"] and not os.path.exists(f"{path}.part")


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(st.sampled_from(["", "a", "ü b", "\u2028", "\t"]), min_size=1, max_size=3), max_size=5),
       st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=5)), max_size=4))
def test_interruptions_anywhere_change_nothing(tmp_path_factory, blocks, calls):
    """Each call writes some blocks and is killed while it writes a part of the next one."""
    path = str(tmp_path_factory.mktemp("job") / "out.txt")
    written = 0
    for count, partial in [*calls, (len(blocks), b"")]:
        with ResumableOutput(path, JOB) as output:
            assert output.notes.get("written", 0) == written
            for block in blocks[written:written + count]:
                written += 1
                output.append(block, {"written": written})
        if os.path.exists(f"{path}.part/lines"):
            with open(f"{path}.part/lines", "ab") as stream:
                stream.write(partial)
    with ResumableOutput(path, JOB) as output:
        output.finish()
    assert lines_of(path) == [line for block in blocks for line in block]


def test_another_job_is_refused_or_replaces_it(path):
    interrupt(path, [["a"]])
    other = {**JOB, "settings": {"beam": 5}, "more": 1}
    with pytest.raises(UsageError, match=r"first 1 lines of another job \(different: more, settings\)"), \
            ResumableOutput(path, other):
        pass
    with ResumableOutput(path, other, overwrite=True) as output:
        assert output.count == 0
        output.append(["b"], {})
        output.finish()
    assert lines_of(path) == ["b"]


def test_starting_anew_does_not_discard_an_equal_job(path):
    interrupt(path, [["a"]])
    with ResumableOutput(path, JOB, overwrite=True) as output:
        assert output.count == 1


@pytest.mark.parametrize("damage", [
    lambda folder: (folder / "lines").write_text("x\n"), lambda folder: (folder / "lines").write_text(""),
    lambda folder: (folder / "lines").unlink(), lambda folder: (folder / "job.json").write_text("{}"),
    lambda folder: replace(folder / "job.json", '"lines": 2', '"lines": 1'),
    *(lambda folder, change=change: forge(folder / "job.json", change) for change in (
        {"lines": 1000}, {"lines": -3}, {"lines": "2"}, {"lines": None}, {"bytes": "4"}, {"bytes": -4}, {"bytes": 2},
        {"crc32": 1.5}, {"notes": []}, {"job": []}, {"job": None}, {"format": 99}, {"more": 1})),
])
def test_damaged_and_forged_lines_are_made_again(tmp_path, damage, capfd):
    path = str(tmp_path / "out.txt")
    interrupt(path, [["a", "b"]])
    damage(tmp_path / "out.txt.part")
    with ResumableOutput(path, JOB) as output:
        assert output.count == 0
        assert "is damaged" in capfd.readouterr().err
        output.append(["c"], {})
        output.finish()
    assert lines_of(path) == ["c"]


def test_nothing_is_left_of_a_job_that_finished_no_line(path, tmp_path):
    assert interrupt(path, []) == 0
    assert os.listdir(tmp_path) == []


def test_what_is_not_ours_is_kept(path, tmp_path):
    (tmp_path / "out.txt.part").mkdir()
    (tmp_path / "out.txt.part" / "thesis.txt").write_text("important")
    with pytest.raises(UsageError, match="none of this program"), ResumableOutput(path, JOB):
        pass
    (tmp_path / "out.txt.part" / "thesis.txt").unlink()
    (tmp_path / "victim").write_text("important")
    (tmp_path / "out.txt.part" / "lines").symlink_to(tmp_path / "victim")
    for make_link in (os.symlink, os.link):
        (tmp_path / "out.txt.part" / "lines").unlink()
        make_link(tmp_path / "victim", tmp_path / "out.txt.part" / "lines")
        with pytest.raises(MassError, match="link"), ResumableOutput(path, JOB) as output:
            output.append(["a"], {})
        assert (tmp_path / "victim").read_text() == "important"


def test_an_output_that_appears_meanwhile_is_not_replaced(path):
    """The lock is taken after the check of the flags; another process may have finished in between."""
    with ResumableOutput(path, JOB) as output:
        output.append(["first"], {})
        output.finish()
    with pytest.raises(UsageError, match="exists: give --overwrite"), ResumableOutput(path, JOB):
        pass
    with ResumableOutput(path, JOB, overwrite=True) as output:
        output.append(["second"], {})
        output.finish()
    assert lines_of(path) == ["second"]


def test_a_process_that_was_killed_between_the_final_name_and_the_end_has_finished(path, tmp_path):
    interrupt(path, [["a", "b"]])
    os.rename(f"{path}.part/lines", path)
    with ResumableOutput(path, JOB) as output:
        assert output.complete and output.count == 2
    assert os.listdir(tmp_path) == ["out.txt"] and lines_of(path) == ["a", "b"]
    with pytest.raises(UsageError, match="exists"), ResumableOutput(path, JOB):
        pass


def test_a_folder_that_disappears_is_an_error(path, tmp_path):
    with pytest.raises(MassError, match="was deleted, renamed or replaced"), ResumableOutput(path, JOB) as output:
        output.append(["a"], {})
        os.rename(f"{path}.part", tmp_path / "elsewhere")
        output.append(["b"], {})
    assert (tmp_path / "elsewhere" / "lines").read_text() == "a\n"


def test_a_failed_append_counts_nothing(path, monkeypatch):
    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="out.txt"), ResumableOutput(path, JOB) as output:
        output.append(["a"], {})
        monkeypatch.setattr("src.common.resumable_output.write_json", full)
        try:
            output.append(["b"], {})
        finally:
            assert output.count == 1
    monkeypatch.undo()
    with ResumableOutput(path, JOB) as output:
        assert output.count == 1
        output.append(["c"], {})
        output.finish()
    assert lines_of(path) == ["a", "c"]


@pytest.mark.parametrize("name", ["x" * 255, "\u00fc" * 127])
def test_the_longest_names_of_the_system(tmp_path, name):
    path = str(tmp_path / name)
    interrupt(path, [["a"]])
    with ResumableOutput(path, JOB) as output:
        assert output.count == 1
        output.finish()
    assert lines_of(path) == ["a"]


def test_notes_may_hold_names_that_are_not_utf8(path):
    with ResumableOutput(path, JOB) as output:
        output.append(["a"], {"first": "caf\udce9.txt"})
    with ResumableOutput(path, JOB) as output:
        assert output.count == 1 and output.notes == {"first": "caf\udce9.txt"}
