"""The commands and Python blocks of the documents, run as they are written, on small data.

README.md is run from raw text to predictions; each other page then begins with a copy of what that made.
"""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.documents import Document, all_documents, read_document
from tests.helpers.example_project import make_project
from tests.helpers.paths import ROOT
from tests.helpers.preloaded import preloaded_python, search_path
from tests.helpers.scripts import SHELL, TIMEOUT

FRONT_PAGE = read_document(ROOT / "README.md")
OTHER_PAGES = [page for page in map(read_document, all_documents()) if page.path != FRONT_PAGE.path
               and any(block.is_run for block in page.blocks)]


def run_page(page: Document, folder: Path, printed: str = "") -> str:
    """Run the blocks of a page one after the other in a folder; they must succeed and print what the page says.

    `printed` is what was printed before. Returns what the last block printed.
    """
    problems = []
    for block in page.blocks:
        where = f"{page.name}, line {block.line}"
        if block.is_run:
            program = [SHELL, "-e"] if block.is_shell else [sys.executable]
            printed = run([*program, "-c", block.text], folder, where)
        elif block.marker == "prints":
            missing = [line for line in block.text.splitlines() if not is_printed(line, printed)]
            problems += [f"{where}: not printed: {missing}; but:\n{printed}"] if missing else []
    assert not problems, "\n".join(problems)
    return printed


def run(command: list[str], folder: Path, where: str) -> str:
    """Run a command and return what it prints; its exit code must be 0."""
    environment = {**os.environ, "PATH": search_path(), "PYTHON": preloaded_python()}
    done = subprocess.run(command, cwd=folder, env=environment, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT)
    assert done.returncode == 0, f"{where}: exit code {done.returncode}\n{done.stdout}"
    return done.stdout


def is_printed(line: str, printed: str) -> bool:
    """Whether a line of a document stands in an output; numbers may differ, and `...` stands for anything."""
    pattern = ".*".join(re.escape(part) for part in without_numbers(line).split("..."))
    return re.search(f"^{pattern}$", without_numbers(printed), re.MULTILINE) is not None


def without_numbers(text: str) -> str:
    """The text with # for each number and one space for several."""
    return re.sub(r"[ \t]+", " ", re.sub(r"\d[\d.,:]*\d|\d", "#", text))


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> tuple[Path, str]:
    """A folder in which the commands of the front page were run, and what they printed."""
    folder = tmp_path_factory.mktemp("documents") / "mass"
    folder.mkdir()
    make_project(folder)
    return folder, run_page(FRONT_PAGE, folder)


def test_the_front_page_leads_from_text_to_predictions(project):
    folder, _ = project
    predictions = (folder / "summaries.txt").read_text().splitlines()
    assert len(predictions) == len((folder / "articles.txt").read_text().splitlines())


@pytest.mark.parametrize("page", OTHER_PAGES, ids=lambda page: page.name)
def test_the_commands_of_other_pages_run(page, project, tmp_path):
    made, printed = project
    folder = tmp_path / "mass"
    shutil.copytree(made, folder, symlinks=True)
    run_page(page, folder, printed)
