"""Reports of a training run: figures over the steps since the last report, files that a resumed run continues."""
import json
import math
import os
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.common.errors import MassError
from src.utils.loss_monitor import LossMonitor
from src.utils.monitoring import outputs
from src.utils.monitoring.display import clock
from src.utils.monitoring.event_files import EventFiles
from src.utils.monitoring.loss_curve import draw_loss_curve, running_mean
from src.utils.monitoring.metrics_file import TRAINING_METRICS_FILE, MetricsFile, read_metrics
from tests.helpers.monitoring import sums, train
from tests.helpers.scripts import run_python

PNG = b"\x89PNG"


def entries(folder, event="train"):
    return [entry for entry in read_metrics(str(folder / TRAINING_METRICS_FILE)) if entry["event"] == event]


@pytest.fixture
def pictures():
    """Marks tests that need the pictures."""


@pytest.fixture(autouse=True)
def no_pictures(request, monkeypatch):
    """Drawing takes most of a second."""
    if "pictures" not in request.fixturenames:
        monkeypatch.setattr(outputs, "draw_loss_curve", lambda *_: None)


@pytest.fixture
def clock_hand(monkeypatch):
    """A function that advances the clock."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def move(seconds):
        now[0] += seconds

    return move


class TestFigures:
    def test_each_report_is_the_mean_over_the_tokens_since_the_previous_one(self, tmp_path):
        train(tmp_path, range(1, 25), total=24)
        for entry, steps in zip(entries(tmp_path), (range(1, 11), range(11, 21), range(21, 25)), strict=True):
            loss, nll, targets, _ = np.sum([sums(step) for step in steps], axis=0)
            assert entry["step"] == steps[-1] and entry["lr"] == steps[-1] / 1000 and entry["loss_scale"] == 64.0
            assert entry["loss"] == pytest.approx(loss / targets) and entry["nll"] == pytest.approx(nll / targets)
            assert entry["ppl"] == pytest.approx(math.exp(nll / targets))

    def test_tokens_per_second_do_not_count_pauses(self, tmp_path, clock_hand):
        monitor = LossMonitor(str(tmp_path), 2, 4)
        for step in range(1, 5):
            clock_hand(2.0)
            monitor.step(step, 1.0, 1.0, 5, 100, 0.1, 1.0)
            with monitor.paused():
                clock_hand(50.0)
        monitor.close()
        assert [entry["tokens_per_second"] for entry in entries(tmp_path)] == pytest.approx([50.0, 50.0])
        assert [entry["seconds"] for entry in entries(tmp_path)] == [54.0, 158.0]

    def test_losses_that_are_read_back_together_share_their_time(self, tmp_path, clock_hand):
        monitor = LossMonitor(str(tmp_path), 2, 8)
        for step in range(1, 9):
            clock_hand(40.0 if step in (1, 5) else 0.0)
            monitor.step(step, *sums(step)[:3], 100, 0.1, 1.0, more_follow=step not in (4, 8))
        monitor.close()
        found = entries(tmp_path)
        assert [entry["step"] for entry in found] == [2, 4, 6, 8]
        assert [entry["tokens_per_second"] for entry in found] == pytest.approx([10.0] * 4)
        train(tmp_path / "one by one", range(1, 9), total=8, log_steps=2)
        assert [e["loss"] for e in found] == [e["loss"] for e in entries(tmp_path / "one by one")]

    def test_time_left_counts_the_steps_of_this_process(self, tmp_path, clock_hand, capsys):
        monitor = LossMonitor(str(tmp_path), 10, 1000, resumed_step=900)
        for step in range(901, 911):
            clock_hand(2.0)
            monitor.step(step, *sums(step), 0.1, 1.0)
        monitor.close()
        assert f"step 910/1000: loss {entries(tmp_path)[0]['loss']:.4f}" in (line := capsys.readouterr().out)
        assert line.strip().endswith("0:03:00 left")  # 90 steps of 2 seconds

    def test_validation_and_skipped_updates(self, tmp_path, capsys):
        monitor = LossMonitor(str(tmp_path), 10, 40)
        monitor.skipped(3, 64.0, 32.0)
        monitor.validated(4, 20.0, 10, best=True, rouge={"rouge-1": 12.5})
        monitor.validated(5, math.inf, 10, best=False)
        monitor.close()
        printed = capsys.readouterr().out
        assert "step 3: gradients overflow at loss scale 64; skipped, the scale is now 32" in printed
        assert "step 4: validation perplexity 7.39, ROUGE-1 12.50 (best so far)" in printed
        (skip,), (first, second) = entries(tmp_path, "skip"), entries(tmp_path, "valid")
        assert (skip["step"], skip["loss_scale"], skip["new_loss_scale"]) == (3, 64.0, 32.0)
        assert (first["nll"], first["ppl"], first["rouge-1"]) == (2.0, pytest.approx(math.exp(2)), 12.5)
        assert first["best"] is True and second["best"] is False
        assert second["nll"] is None and "Infinity" not in (tmp_path / TRAINING_METRICS_FILE).read_text()

    def test_other_ranks_report_nothing(self, tmp_path, capsys):
        monitor = LossMonitor(str(tmp_path), 1, 2, main=False)
        monitor.step(1, *sums(1), 0.1, 1.0)
        monitor.skipped(1, 2.0, 1.0)
        monitor.validated(1, 1.0, 1, best=True)
        monitor.note("hello")
        monitor.close()
        assert os.listdir(tmp_path) == [] and capsys.readouterr().out == ""

    @pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00:00"), (3725.6, "1:02:05"), (360000, "100:00:00")])
    def test_clock(self, seconds, shown):
        assert clock(seconds) == shown


class TestResuming:
    @pytest.mark.parametrize("stopped", [20, 23])  # at a report, and between two
    def test_the_file_is_as_without_interruption(self, tmp_path, stopped):
        train(tmp_path / "whole", range(1, 41))
        part = tmp_path / "parts"
        first = train(part, range(1, stopped + 1))
        at_checkpoint = json.loads(json.dumps(first.unreported))
        train(part, range(stopped + 1, 35), resumed_step=stopped, unreported=at_checkpoint)  # repeated
        train(part, range(stopped + 1, 41), resumed_step=stopped, unreported=at_checkpoint)
        timeless = [[{key: value for key, value in entry.items() if key not in ("seconds", "tokens_per_second")}
                     for entry in entries(folder)] for folder in (tmp_path / "whole", part)]
        assert timeless[0] == timeless[1]

    def test_seconds_continue(self, tmp_path, clock_hand):
        for resumed_step, steps in ((0, range(1, 31)), (20, range(21, 41))):
            monitor = LossMonitor(str(tmp_path), 10, 40, resumed_step=resumed_step)
            for step in steps:
                clock_hand(1.0)
                monitor.step(step, *sums(step), 0.1, 1.0)
            monitor.close()
        assert [entry["seconds"] for entry in entries(tmp_path)] == [10.0, 20.0, 30.0, 40.0]

    def test_a_new_run_replaces_the_file(self, tmp_path):
        train(tmp_path, range(1, 41))
        train(tmp_path, range(1, 11))
        assert [entry["step"] for entry in entries(tmp_path)] == [10]

    def test_a_missing_file_is_created(self, tmp_path):
        train(tmp_path, range(31, 41), resumed_step=30)
        assert [entry["step"] for entry in entries(tmp_path)] == [40]

    @given(st.integers(0, 200))
    def test_a_run_killed_while_writing_loses_the_entry_it_wrote(self, tmp_path_factory, cut):
        path = str(tmp_path_factory.mktemp("run") / TRAINING_METRICS_FILE)
        written = [{"event": "train", "step": step, "nll": 1.0 / step, "seconds": float(step)} for step in (1, 2, 3)]
        file = MetricsFile(path)
        for entry in written:
            file.write(entry)
        file.close()
        with open(path, "rb+") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.truncate(max(0, size - cut))
            stream.seek(0)
            whole = stream.read().count(b"}")
        assert read_metrics(path) == written[:whole]
        MetricsFile(path, resumed_step=2).close()
        assert read_metrics(path) == written[: min(whole, 2)]

    @pytest.mark.parametrize("line", ["rubbish", "[1]", '{"event": "train"}'])
    def test_a_damaged_line_elsewhere_is_an_error(self, tmp_path, line):
        train(tmp_path, range(1, 21))
        path = tmp_path / TRAINING_METRICS_FILE
        path.write_text(f"{line}\n" + path.read_text())
        with pytest.raises(MassError, match="metrics.jsonl, line 1: not an entry"):
            read_metrics(str(path))

    def test_a_damaged_figure_is_an_error(self, tmp_path):
        train(tmp_path, range(1, 31))
        path = tmp_path / TRAINING_METRICS_FILE
        lines = path.read_text().splitlines(keepends=True)
        for number, line in enumerate(lines, start=1):
            path.write_text("".join(lines).replace(line, line.replace('"step": ', '"step": 1')))
            with pytest.raises(MassError, match=f"metrics.jsonl, line {number}: .*damaged; remove that line"):
                read_metrics(str(path))
            path.write_text("".join(lines).replace(line, ""))
            assert len(read_metrics(str(path))) == len(lines) - 1

    def test_a_file_of_an_earlier_version_is_continued(self, tmp_path):
        """Its lines have no checksums, and get some."""
        train(tmp_path, range(1, 31))
        path = tmp_path / TRAINING_METRICS_FILE
        plain = read_metrics(str(path))
        path.write_text("".join(json.dumps(entry) + "\n" for entry in plain))
        assert read_metrics(str(path)) == plain
        train(tmp_path, range(21, 41), resumed_step=20)
        assert [entry["step"] for entry in entries(tmp_path)] == [10, 20, 30, 40]
        assert path.read_text().count('"checksum"') == 4


def read_events(folder):
    """(step, tag, value) of each scalar in the folder's files, and the step at which each file begins."""
    from tensorboardX.proto.event_pb2 import Event, SessionLog
    from tfrecord.reader import tfrecord_iterator

    scalars, starts = [], []
    for name in sorted(os.listdir(folder)):
        for data in tfrecord_iterator(os.path.join(folder, name)):
            event = Event.FromString(bytes(data))
            scalars += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
            if event.session_log.status == SessionLog.START:
                starts.append(event.step)
    return scalars, starts


class TestTensorBoard:
    def test_events_hold_the_figures_of_the_metrics_file(self, tmp_path):
        monitor = LossMonitor(str(tmp_path), 10, 20)
        for step in range(1, 21):
            monitor.step(step, *sums(step), 0.25, 64.0)
        monitor.skipped(20, 64.0, 32.0)
        monitor.validated(20, 20.0, 10, best=True, rouge={"rouge-l": 12.5})
        monitor.close()
        scalars, starts = read_events(tmp_path / "tensorboard" / "train")
        tags = {"loss": "loss", "nll": "nll", "perplexity": "ppl", "learning_rate": "lr", "loss_scale": "loss_scale",
                "tokens_per_second": "tokens_per_second"}
        expected = [(entry["step"], tag, pytest.approx(entry[key], rel=1e-6))
                    for entry in entries(tmp_path) for tag, key in tags.items()]
        skip = [(20, "loss_scale", 64.0), (20, "loss_scale", 32.0)]
        assert all(scalar in scalars for scalar in [*expected, *skip])
        assert len(scalars) == len(expected) + len(skip)
        assert starts == [1]
        scalars, _ = read_events(tmp_path / "tensorboard" / "valid")
        assert scalars == [(20, "nll", 2.0), (20, "perplexity", pytest.approx(math.exp(2))), (20, "rouge-l", 12.5)]

    def test_a_resumed_run_marks_the_step_from_which_its_events_count(self, tmp_path):
        train(tmp_path, range(1, 31))
        train(tmp_path, range(21, 41), resumed_step=20)
        scalars, starts = read_events(tmp_path / "tensorboard" / "train")
        assert starts == [1, 21]
        assert [step for step, tag, _ in scalars if tag == "nll"] == [10, 20, 30, 30, 40]

    def test_training_continues_without_them(self, tmp_path, monkeypatch, capsys):
        def full(self, entry):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(EventFiles, "write", full)
        train(tmp_path, range(1, 41))
        assert len(entries(tmp_path)) == 4
        assert capsys.readouterr().out.count("TensorBoard events are not written any more") == 1

    def test_pytorch_is_not_imported(self, tmp_path):
        """It takes seconds, and tensorboardX imports it wherever it is installed."""
        code = ("import sys; from src.utils.monitoring.event_files import EventFiles; "
                "EventFiles(sys.argv[1]).close(); print('torch' in sys.modules)")
        assert run_python(code, tmp_path).stdout == "False\n"


class TestPicture:
    @pytest.mark.usefixtures("pictures")
    def test_is_drawn_at_validations_and_at_the_end(self, tmp_path):
        monitor = LossMonitor(str(tmp_path), 1, 3)
        monitor.validated(1, 20.0, 10, best=True)
        picture = tmp_path / "loss_curve.png"
        first = picture.read_bytes()
        monitor.step(2, *sums(2), 0.1, 1.0)
        monitor.close()
        assert first.startswith(PNG) and picture.read_bytes().startswith(PNG) and picture.read_bytes() != first

    @pytest.mark.usefixtures("pictures")
    def test_nothing_to_draw(self, tmp_path):
        train(tmp_path, ())
        assert not (tmp_path / "loss_curve.png").exists()

    def test_shows_the_whole_run(self, tmp_path):
        """The plotted lines show all parts of a resumed run."""
        from matplotlib.figure import Figure

        from src.utils.monitoring.loss_curve import plot_losses

        train(tmp_path, range(1, 21))
        train(tmp_path, range(21, 41), resumed_step=20)
        axes = Figure().subplots()
        plot_losses(axes, read_metrics(str(tmp_path / TRAINING_METRICS_FILE)), "blue", "red")
        assert [line.get_xydata().tolist() for line in axes.get_lines()] == [
            [[entry["step"], pytest.approx(entry["nll"])] for entry in entries(tmp_path)]]

    def test_its_failure_is_a_warning(self, tmp_path, monkeypatch, capsys):
        def broken(*_):
            raise RuntimeError("no fonts")

        monkeypatch.setattr(outputs, "draw_loss_curve", broken)
        train(tmp_path, range(1, 11))
        assert "warning: loss_curve.png could not be drawn (RuntimeError: no fonts)" in capsys.readouterr().out

    def test_drawing_takes_a_small_share_of_the_time(self, tmp_path, monkeypatch, clock_hand):
        drawn = []

        def slow(*_):
            clock_hand(3.0)
            drawn.append(time.monotonic())

        monkeypatch.setattr(outputs, "draw_loss_curve", slow)
        monitor = LossMonitor(str(tmp_path), 10, 10000)
        for step in range(1, 1001):
            clock_hand(1.0)
            monitor.validated(step, 1.0, 1, best=False)
        assert 2 <= len(drawn) <= 4  # 3 of about 1,000 seconds each, at one in a hundred
        monitor.close()
        assert drawn[-1] == time.monotonic()

    @pytest.mark.usefixtures("pictures")
    def test_losses_that_are_not_finite_leave_a_gap(self, tmp_path):
        file = MetricsFile(str(tmp_path / TRAINING_METRICS_FILE))
        for step in range(1, 60):
            nll = math.inf if step % 7 == 0 else 1.0 / step
            file.write({"event": "train", "step": step, "nll": nll, "lr": 0.1, "seconds": 1.0})
        file.close()
        draw_loss_curve(str(tmp_path / TRAINING_METRICS_FILE), str(tmp_path / "p.png"))
        draw_loss_curve(str(tmp_path / TRAINING_METRICS_FILE), str(tmp_path / "q.png"), "", [(1, 0.1), (90, 0.2)])
        assert (tmp_path / "q.png").read_bytes() not in ((tmp_path / "p.png").read_bytes(), b"")
        assert (tmp_path / "p.png").read_bytes().startswith(PNG)

    @given(st.lists(st.floats(-100, 100), min_size=1, max_size=30), st.integers(0, 9))
    def test_running_mean(self, values, width):
        for i, mean in enumerate(running_mean(values, width)):
            reach = min(width, i, len(values) - 1 - i)
            assert mean == pytest.approx(np.mean(values[i - reach : i + reach + 1]), abs=1e-9)
