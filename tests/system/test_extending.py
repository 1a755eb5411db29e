"""Whole system: each tutorial of docs/extending.md, followed to the letter in a copy of the repository."""
import os
import subprocess

import pytest

from tests.helpers.paths import ROOT
from tests.helpers.preloaded import search_path
from tests.helpers.tutorials import apply, copy_repository, tutorials

TUTORIALS = tutorials((ROOT / "docs" / "extending.md").read_text())


@pytest.mark.parametrize("title", TUTORIALS)
def test_tutorial(title, tmp_path):
    repository = copy_repository(tmp_path)
    environment = {**os.environ, "PATH": search_path()}
    environment.pop("PYTHONPATH", None)
    assert any(block.language == "shell" for block in TUTORIALS[title]), "a tutorial ends with its test"
    for block in TUTORIALS[title]:
        if block.language != "shell":
            apply(block, repository)
            continue
        done = subprocess.run(["sh", "-e", "-c", block.text], cwd=repository, env=environment, capture_output=True,
                              text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
