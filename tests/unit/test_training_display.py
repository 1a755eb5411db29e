"""What a training run shows: a progress bar on a terminal, lines in a log."""
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest

from src.utils.monitoring import display, outputs
from tests.helpers.monitoring import train
from tests.helpers.paths import ROOT


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    """Drawing takes most of a second."""
    monkeypatch.setattr(outputs, "draw_loss_curve", lambda *_: None)


TERMINAL_RUN = """
import sys, time
sys.path.insert(0, sys.argv[1])
from src.utils.monitoring import outputs
outputs.draw_loss_curve = lambda *_: None
from src.utils.loss_monitor import LossMonitor
monitor = LossMonitor(sys.argv[2], 5, 40, resumed_step=20)
for step in range(21, 31):
    monitor.step(step, 20.0, 10.0, 10, 30, 0.001, 1.0)
    time.sleep(0.02)
monitor.validated(30, 10.0, 10, best=True)
monitor.close()
"""


def run_on_terminal(command, columns):
    """Return what a command writes to a terminal of this width."""
    terminal, its_end = pty.openpty()
    fcntl.ioctl(its_end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(command, stdout=its_end, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL) as process:
        os.close(its_end)
        shown = b""
        while True:
            try:
                piece = os.read(terminal, 4096)
            except OSError:  # the command has ended
                piece = b""
            if not piece:
                break
            shown += piece
    os.close(terminal)
    assert process.returncode == 0, shown.decode()
    return shown.decode()


class TestDisplay:
    def test_a_terminal_shows_a_bar(self, tmp_path):
        shown = run_on_terminal([sys.executable, "-c", TERMINAL_RUN, ROOT, str(tmp_path)], columns=120)
        drawings = [line for line in shown.replace("\n", "\r").split("\r") if "%|" in line]
        assert "20/40" in drawings[0] and " 50%" in drawings[0]  # the steps before resuming are included
        assert "30/40" in drawings[-1] and " 75%" in drawings[-1]
        for part in ("loss 2.000", "ppl 2.718", "lr 0.001", "tokens/s", "left"):
            assert part in drawings[-1]
        assert "step 30: validation perplexity 2.72 (best so far)" in shown
        assert "step 25/40" not in shown  # no log lines

    def test_a_narrow_terminal_shows_lines(self, tmp_path):
        shown = run_on_terminal([sys.executable, "-c", TERMINAL_RUN, ROOT, str(tmp_path)], columns=0)
        assert "%|" not in shown and "step 25/40: loss 2.0000" in shown and "step 30/40" in shown

    def test_a_log_has_one_line_per_report(self, tmp_path, capsys):
        train(tmp_path, range(1, 26))
        assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == ["step 10/40", "step 20/40"]

    def test_every_display_takes_the_same_calls(self):
        methods = {name for name in vars(display.Display) if not name.startswith("_")}
        for kind in (display.LogLines, display.ProgressBar):
            assert methods <= set(dir(kind))
