"""SIGTERM and Ctrl-C: the first requests to stop, a later one ends the process, even in compiled code."""
import os
import signal
import subprocess
import sys
import time

import pytest

from src.runtime.signals import SAME_REQUEST, StopSignals
from tests.helpers.paths import ROOT

# Acts like MindSpore: compiled code during which other threads run, but no signal handler.
BUSY = """
import hashlib, sys, threading
from src.runtime.signals import StopSignals
with StopSignals(*map(float, sys.argv[1:])):
    threading.Timer(1, lambda: print("ready", flush=True)).start()  # when the compiled code runs, not before
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_is_recorded_and_the_handlers_are_restored(number):
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    with StopSignals() as signals:
        assert signals.received is None
        os.kill(os.getpid(), number)
        assert signals.received is number
    assert {each: signal.getsignal(each) for each in before} == before


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in the background of a shell
    try:
        with StopSignals() as signals:
            os.kill(os.getpid(), signal.SIGINT)
            assert signals.received is None
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def busy(*arguments: str) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", BUSY, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize(("second", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_later_signal_ends_a_process_in_compiled_code(second, code):
    process = busy()
    process.send_signal(signal.SIGTERM)
    time.sleep(SAME_REQUEST + 0.5)
    assert process.poll() is None
    process.send_signal(second)
    assert process.wait(timeout=60) == code


def test_a_signal_sent_to_the_launcher_and_to_each_process_counts_once():
    process = busy()
    for _ in range(3):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.05)
    time.sleep(0.5)
    assert process.poll() is None
    process.kill()
    process.wait()


def test_after_the_grace_period_one_signal_ends_a_rank_that_waits_for_a_dead_one():
    process = busy("0.5")
    process.send_signal(signal.SIGTERM)
    try:
        assert process.wait(timeout=60) == 143
    finally:
        process.kill()
