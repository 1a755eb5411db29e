"""The command that makes the corpus of the quick start, from the packages of this machine."""
import os
import subprocess
import sys

from quickstart.docstring_corpus import normalize
from tests.helpers.paths import ROOT


def test_fast_corpus_of_this_machine(tmp_path):
    """The command of the quick start writes files of the expected sizes, and no two splits share a line."""
    subprocess.run([sys.executable, "-m", "quickstart.docstring_corpus", "--output_folder", tmp_path, "--fast"],
                   check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    lines = {os.path.relpath(path, tmp_path): path.read_text().splitlines() for path in tmp_path.glob("*/*.txt")}
    assert {name: len(found) for name, found in lines.items()} == {
        "pairs/test.src.txt": 100, "pairs/test.tgt.txt": 100, "pairs/train.src.txt": 1500, "pairs/train.tgt.txt": 1500,
        "pairs/valid.src.txt": 100, "pairs/valid.tgt.txt": 100,
        "pretrain/pretrain.txt": 12000, "pretrain_valid/pretrain_valid.txt": 500,
    }
    sides = [line for name, found in lines.items() if name.startswith("pairs") for line in found]
    assert len(sides) == len(set(sides)) and all(line == normalize(line) for line in sides)
    held_out = {line for name, found in lines.items() if "test" in name or "valid" in name for line in found}
    assert not held_out & set(lines["pretrain/pretrain.txt"])
