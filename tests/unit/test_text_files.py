"""Reading text files: line ends, parts of files, bytes that are not UTF-8, lines that are too long."""
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.common import text_files
from src.common.errors import MassError
from src.common.text_files import FilePart, batches_of_parts, decode_lines, file_parts, read_lines

BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    "raw, lines",
    [
        (b"", []),
        (BOM, []),
        (b"\n", [""]),
        (b"a", ["a"]),
        (b"a\n\n", ["a", ""]),
        (BOM + b"a\r\n\nb", ["a", "", "b"]),
        (b"a\r", ["a"]),
        (b"a\r\r\n\r\n", ["a\r", ""]),
        ("one\u2028two\x85\x0c\x1c\n\ufeffthree".encode(), ["one\u2028two\x85\x0c\x1c", "\ufeffthree"]),
    ],
)
def test_only_a_newline_ends_a_line(tmp_path, raw, lines):
    (tmp_path / "f.txt").write_bytes(raw)
    assert list(read_lines(str(tmp_path / "f.txt"))) == decode_lines(raw, "f.txt").lines == lines


def lines_by_definition(raw: bytes) -> tuple[list[str], int]:
    """Return the lines, decoded one by one with replacement, and the number of damaged lines."""
    raw_lines = raw.removeprefix(BOM).split(b"\n")
    if not raw_lines[-1]:
        raw_lines.pop()
    lines = [line.decode("utf-8", errors="replace") for line in raw_lines]
    damaged = sum(line.encode("utf-8") != raw_line for line, raw_line in zip(lines, raw_lines, strict=True))
    return [line.removesuffix("\r") for line in lines], damaged


PIECES = [b"a", b"\n", b"\r", b"\r\n", BOM, b"\xff", b"\xe2\x80", "\u2028é中😀".encode(), b"\xa8"]


@given(st.lists(st.sampled_from(PIECES)).map(b"".join), st.integers(1, 20))
def test_parts_of_a_file_hold_the_lines_of_the_file(tmp_path_factory, raw, size):
    path = str(tmp_path_factory.mktemp("parts") / "f.txt")
    with open(path, "wb") as stream:
        stream.write(raw)
    expected, damaged = lines_by_definition(raw)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_files, "PART_BYTES", size)
        batches = list(batches_of_parts(file_parts(path)))
        counter = Counter()
        assert list(read_lines(path, "replace", counter)) == expected
    parts = [part for batch in batches for part in batch]
    texts = [part.decode("replace") for part in parts]
    assert [line for text in texts for line in text.lines] == expected
    assert sum(text.damaged for text in texts) == counter[path] == damaged
    assert "".join(part.decode("replace", keep_ends=True).text for part in parts) == (
        raw.removeprefix(BOM).decode("utf-8", errors="replace")
    )
    assert all(sum(part.size for part in batch) <= size or len(batch) == 1 for batch in batches)


def test_undecodable_bytes_are_an_error_with_file_line_and_column(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "PART_BYTES", 50)
    path = tmp_path / "f.txt"
    path.write_bytes(BOM + b"fine\n" * 99 + b"no caf\xe9\nfine\n")
    for reader in (read_lines, lambda path: [part.decode() for part in file_parts(path)]):
        with pytest.raises(MassError, match=r"f\.txt, line 100: not UTF-8 \(byte 0xe9 at column 7\).*--errors replace"):
            list(reader(str(path)))
    with pytest.raises(MassError, match="f.txt, line 31: not UTF-8"):
        decode_lines(b"fine\n\xff\n", "f.txt", first_line=30)


def test_a_line_that_is_too_long_is_rejected_and_a_long_one_is_read(tmp_path, monkeypatch):
    path = tmp_path / "f.txt"
    path.write_bytes(b"short\n" * 3 + b"x" * (1 << 20) + b"\nshort\n")
    assert [len(line) for line in read_lines(str(path))] == [5, 5, 5, 1 << 20, 5]
    monkeypatch.setattr(text_files, "MAX_LINE_BYTES", 1 << 19)
    monkeypatch.setattr(text_files, "PART_BYTES", 1 << 10)
    with pytest.raises(MassError, match="f.txt, line 4: longer than"):
        list(file_parts(str(path)))


def test_small_parts_share_a_batch():
    parts = [FilePart(str(number), 0, size) for number, size in enumerate([5, 5, 5, 200, 5, 95, 5])]
    sizes = [[part.size for part in batch] for batch in batches_of_parts(parts, 100)]
    assert sizes == [[5, 5, 5], [200], [5, 95], [5]]
