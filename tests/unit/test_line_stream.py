"""Lines are read as they arrive, whole and in order."""
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.common import line_stream
from src.common.errors import MassError
from src.common.line_stream import LineStream


def stream_of(data, **options):
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as stream:
        stream.write(data)
    return LineStream(reading, "standard input", **options)


@given(st.binary(max_size=200).map(lambda data: data.replace(b"\r", b"")), st.integers(1, 5))
def test_the_lines_are_those_of_the_stream(data, most):
    batches = list(stream_of(data, errors="replace", most=most).batches())
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if not lines[-1]:
        lines.pop()
    if data == b"\xef\xbb\xbf":
        lines = [b""]
    assert [line for batch in batches for line in batch] == [line.decode("utf-8", "replace") for line in lines]
    assert all(1 <= len(batch) <= most for batch in batches)


def test_lines_do_not_wait_for_later_lines():
    reading, writing = os.pipe()
    batches = LineStream(reading, "standard input").batches()
    os.write(writing, b"one\ntwo\nthr")
    assert next(batches) == ["one", "two"]
    os.write(writing, b"ee\n")
    assert next(batches) == ["three"]
    os.write(writing, b"four")
    os.close(writing)
    assert list(batches) == [["four"]]


def test_lines_that_arrive_together_are_one_batch(monkeypatch):
    monkeypatch.setattr(line_stream, "WAIT", 60)
    reading, writing = os.pipe()
    batches = LineStream(reading, "standard input", most=3).batches()

    def write():
        for line in (b"a\n", b"b\n", b"c\n"):
            os.write(writing, line)

    writer = threading.Thread(target=write)
    writer.start()
    assert next(batches) == ["a", "b", "c"]
    writer.join()
    os.close(writing)


def test_invalid_lines_are_named_in_the_error():
    data = b"fine\n" * 4 + b"caf\xe9\nfine\n"
    with pytest.raises(MassError, match="standard input, line 5: not UTF-8"):
        list(stream_of(data, most=3).batches())
    stream = stream_of(data, errors="replace", most=3)
    assert [line for batch in stream.batches() for line in batch][4] == "caf\ufffd" and stream.damaged == 1


def test_a_line_that_is_too_long_is_rejected(monkeypatch):
    monkeypatch.setattr(line_stream, "MAX_LINE_BYTES", 1000)
    with pytest.raises(MassError, match="line 2: longer than"):
        list(stream_of(b"one\n" + b"x" * 5000).batches())
