"""The tutorials of docs/extending.md as a reader would follow them, in a copy of the repository.

A tutorial is a section of the page. Its code blocks are of three kinds: a `python` block that follows a line beginning
with "Create `path`" is a new file; a `diff` block that follows a line beginning with "In `path`" changes a file; a
`shell` block is run.
"""
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.helpers.paths import ROOT

COPIED = ("config", "docs", "scripts", "src", "tests", "pyproject.toml")


class Block(NamedTuple):
    """A code block of a tutorial."""

    language: str
    path: str  # of the file that it creates or changes; empty for a shell block
    text: str


def tutorials(page: str) -> dict[str, list[Block]]:
    """Return the blocks of each section (`## Title`) that has some."""
    found = {}
    for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        blocks = list(_blocks(body))
        if blocks:
            found[title] = blocks
    return found


def _blocks(body: str) -> Iterator[Block]:
    path = ""
    for match in re.finditer(r"^(?:(?:Create|In) `(?P<path>[^`]+)`|```(?P<language>\w+)\n(?P<text>.*?)^```$)", body,
                             flags=re.MULTILINE | re.DOTALL):
        if match["path"]:
            path = match["path"]
        else:
            yield Block(match["language"], "" if match["language"] == "shell" else path, match["text"])


def copy_repository(folder: Path) -> Path:
    """Copy what a tutorial needs of the repository, and return the copy."""
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name, **({"ignore": shutil.ignore_patterns("__pycache__")} if copy is shutil.copytree
                                            else {}))
    for script in ROOT.glob("*.py"):
        shutil.copy(script, folder / script.name)
    return folder


def apply(block: Block, repository: Path) -> None:
    """Create or change the file of a block."""
    path = repository / block.path
    if block.language == "python":
        assert not path.exists(), f"{block.path} exists already"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)
        return
    assert block.language == "diff", block.language
    text = path.read_text()
    for hunk in re.split(r"^@@.*\n", block.text, flags=re.MULTILINE):
        if not hunk:
            continue
        lines = hunk.splitlines(keepends=True)
        assert all(line[0] in " +-" or line == "\n" for line in lines), hunk
        before, after = ("".join(line[1:] if line != "\n" else line for line in lines if line[0] != omitted)
                         for omitted in "+-")
        assert text.count(before) == 1, f"{block.path} holds these lines {text.count(before)} times:\n{before}"
        text = text.replace(before, after)
    path.write_text(text)
