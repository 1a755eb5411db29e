"""Outputs of many lines that are continued after an interruption, and what is refused or made anew."""
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.common.errors import UsageError
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


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
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
    with ResumableOutput(path, other, start_anew=True) as output:
        assert output.count == 0
        output.append(["b"], {})
        output.finish()
    assert lines_of(path) == ["b"]


def test_starting_anew_does_not_discard_an_equal_job(path):
    interrupt(path, [["a"]])
    with ResumableOutput(path, JOB, start_anew=True) as output:
        assert output.count == 1


@pytest.mark.parametrize("damage", [
    lambda folder: (folder / "lines").write_text("x\n"), lambda folder: (folder / "lines").write_text(""),
    lambda folder: (folder / "lines").unlink(), lambda folder: (folder / "job.json").write_text("{}"),
    lambda folder: replace(folder / "job.json", '"lines": 2', '"lines": 1'),
])
def test_damaged_lines_are_made_again(tmp_path, damage):
    path = str(tmp_path / "out.txt")
    interrupt(path, [["a", "b"]])
    damage(tmp_path / "out.txt.part")
    with ResumableOutput(path, JOB) as output:
        assert output.count == 0
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
    with pytest.raises(UsageError, match="link"), ResumableOutput(path, JOB):
        pass
    assert (tmp_path / "victim").read_text() == "important"
