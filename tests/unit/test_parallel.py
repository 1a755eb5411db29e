"""Worker processes that die: the map ends at once with a message, at whatever moment that happens."""
import os
import signal
import time
from functools import partial
from multiprocessing.connection import Connection

import psutil
import pytest

from src.common.errors import MassError
from src.common.parallel import map_in_order
from tests.helpers.scripts import run_python

DIED = "a worker process died"


def large(number: int) -> bytes:
    return bytes(1 << 20) + bytes([number])


def wait(_number: int) -> None:
    time.sleep(60)


def fail_in_a_way_of_its_own(number: int) -> int:
    raise OwnError(number, "two arguments")


class OwnError(Exception):
    """Cannot be unpickled, because its arguments are not those of the constructor."""

    def __init__(self, number: int, text: str):
        super().__init__(f"{number} {text}")


def children() -> list[psutil.Process]:
    return psutil.Process().children()


def test_large_results_of_large_functions_arrive_in_order():
    results = map_in_order(partial(pow, 3, mod=10**9), range(50), 3)
    assert list(results) == [pow(3, n, 10**9) for n in range(50)]
    assert [result[-1] for result in map_in_order(large, range(20), 2)] == list(range(20))
    assert not children()


def test_a_worker_dies_while_it_sends_its_result(monkeypatch):
    parent, send = os.getpid(), Connection._send

    def send_half(self: Connection, buffer: bytes, *arguments: object) -> None:
        if os.getpid() != parent and len(buffer) > 1000:
            send(self, buffer[: len(buffer) // 2], *arguments)
            os.kill(os.getpid(), signal.SIGKILL)
        send(self, buffer, *arguments)

    monkeypatch.setattr(Connection, "_send", send_half)
    begin = time.monotonic()
    with pytest.raises(MassError, match=DIED):
        list(map_in_order(large, range(20), 2))
    assert time.monotonic() - begin < 5 and not children()


def test_workers_that_die_when_they_are_born():
    run_python("""
import os, signal
from src.common.errors import MassError
from src.common.parallel import map_in_order
os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), signal.SIGKILL))
try:
    list(map_in_order(abs, range(9), 2))
except MassError as error:
    assert "a worker process died" in str(error)
else:
    raise AssertionError
""", timeout=60)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_any_signal_to_one_worker_ends_the_map(number):
    items = iter(range(10))

    def kill_one():
        yield from (next(items) for _ in range(4))
        psutil.Process(children()[-1].pid).send_signal(number)
        yield from items

    begin = time.monotonic()
    with pytest.raises(MassError, match=DIED):
        list(map_in_order(wait, kill_one(), 2))
    assert time.monotonic() - begin < 5 and not children()


def test_closing_ends_workers_that_are_stopped_or_busy():
    results = map_in_order(wait, range(10), 3)

    def stop_one():
        yield from range(7)
        children()[0].send_signal(signal.SIGSTOP)
        raise KeyboardInterrupt

    results = map_in_order(wait, stop_one(), 5)
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(results)
    assert time.monotonic() - begin < 5 and not children()


def test_exceptions_that_cannot_be_sent_are_errors_too():
    with pytest.raises(Exception, match="argument|cannot be sent"):
        list(map_in_order(fail_in_a_way_of_its_own, range(5), 2))
    with pytest.raises(Exception, match="pickle"):
        list(map_in_order(abs, [lambda: 0, 1], 2))
