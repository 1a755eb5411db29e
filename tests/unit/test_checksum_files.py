"""Checksums beside files."""
from pathlib import Path

import pytest

from src.common import checksum_files
from src.common.checksum_files import output_with_checksum, require_checksum_of
from src.common.errors import MassError


@pytest.fixture
def path(tmp_path) -> Path:
    """A file whose content is `old`, with its checksum."""
    write(tmp_path / "x", "old")
    return tmp_path / "x"


def write(path: Path, content: str) -> None:
    with output_with_checksum(str(path)) as temporary:
        Path(temporary).write_text(content)


def test_a_change_is_noticed(path):
    require_checksum_of(str(path))
    path.write_text("odd")
    with pytest.raises(MassError, match=r"x: its checksum is not the one in 'x.sha256'"):
        require_checksum_of(str(path))
    write(path, "new")
    require_checksum_of(str(path))


def test_a_file_without_a_checksum_passes(path):
    path.with_name("x.sha256").unlink()
    path.write_text("odd")
    require_checksum_of(str(path))


@pytest.mark.parametrize("content", [b"", b"x", b"0" * 64, b"\xff" * 100, b"0" * 100_000])
def test_a_checksum_that_is_none(path, content):
    path.with_name("x.sha256").write_bytes(content)
    with pytest.raises(MassError, match=r"x\.sha256: "):
        require_checksum_of(str(path))


def test_an_interruption_leaves_no_file_with_the_checksum_of_another(path, monkeypatch):
    with pytest.raises(KeyboardInterrupt), output_with_checksum(str(path)) as temporary:
        Path(temporary).write_text("new")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    require_checksum_of(str(path))

    def interrupted(written: str):
        if written.endswith(".sha256"):
            raise KeyboardInterrupt
        return atomic_output(written)

    atomic_output = checksum_files.atomic_output
    monkeypatch.setattr(checksum_files, "atomic_output", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(path, "new")
    assert path.read_text() == "new"
    require_checksum_of(str(path))
