"""scripts/setup_venv.sh installs requirements again when they, or files that they include, have changed."""
import shutil
import sys

from tests.helpers.paths import ROOT
from tests.helpers.scripts import run_script

_PYTHON = """#!/bin/sh
case $* in
    *"-m pip"*) echo "$@" >>"{log}" ;;
    *) exec "{python}" "$@" ;;
esac
"""


def test_a_change_of_an_included_file_is_noticed(tmp_path):
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    for path in ROOT.glob("requirements*.txt"):
        shutil.copy2(path, tmp_path)
    log, python = tmp_path / "pip.log", tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(_PYTHON.format(log=log, python=sys.executable))
    python.chmod(0o755)
    (tmp_path / ".venv" / ".made-for").write_text(f"{tmp_path}\n")

    def installed(**environment: str) -> list[str]:
        """What a run of the script installs; a name is in parentheses if pip compiles the modules."""
        log.write_text("")
        run_script("scripts/setup_venv.sh", "--dev", root=tmp_path,
                   environment={"PYTHONDONTWRITEBYTECODE": None, **environment})
        names = {line.rpartition("/")[2]: " --no-compile " in line for line in log.read_text().splitlines()}
        return [name if is_left else f"({name})" for name, is_left in names.items()]

    assert installed() == ["requirements.txt", "requirements-dev.txt"]
    assert installed() == []
    with open(tmp_path / "requirements-export.txt", "a") as stream:
        stream.write("another==1.0\n")
    assert installed(PYTHONDONTWRITEBYTECODE="1") == ["(requirements-dev.txt)"], "Python must not compile them later"
    assert "-r requirements-export.txt" in (tmp_path / "requirements-dev.txt").read_text().splitlines()
