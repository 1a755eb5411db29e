"""The command that makes the corpus of the quick start."""
import itertools
import os
import random
import subprocess
import sys

from recipes.docstring_corpus import normalize
from tests.helpers.paths import ROOT

PACKAGES = {"alpha": 40, "beta": 40, "xml": 8, "asyncio": 8, "email": 8, "click": 8}  # name -> files; see HELD_OUT
NOUNS = ["river", "house", "garden", "teacher", "letter", "window", "market", "winter", "bridge", "doctor", "forest",
         "kitchen", "mountain", "engine", "morning", "picture", "sailor", "village", "harvest", "candle"]
VERBS = ["follows", "paints", "remembers", "sells", "hides"]
COMMAND = """
import sys
from recipes import docstring_corpus
packages = sys.argv.pop(1)
docstring_corpus.source_folders = lambda: [packages]
docstring_corpus.main()
"""


def make_packages(folder):
    """Write packages whose docstrings are prose: what is installed on this machine must not matter."""
    everything = list(itertools.product(NOUNS, VERBS, NOUNS, VERBS, NOUNS))
    random.Random(1).shuffle(everything)
    sentences = (f"The {one} {does} the {other} when it {also} the {third}." for one, does, other, also, third
                 in everything)
    for package, files in PACKAGES.items():
        (folder / package).mkdir()
        for number in range(3 * files):  # the small corpus is made from every third file
            docstrings = (f"{next(sentences)}\n\n    {' '.join(itertools.islice(sentences, 4))}\n" for _ in range(40))
            functions = [f'def f{place}():\n    """{text}    """\n' for place, text in enumerate(docstrings)]
            (folder / package / f"m{number:03}.py").write_text("\n\n".join(functions))


def test_fast_corpus(tmp_path):
    """The command of the quick start writes files of the expected sizes, and no two splits share a line."""
    (tmp_path / "packages").mkdir()
    make_packages(tmp_path / "packages")
    output = tmp_path / "corpus"
    subprocess.run([sys.executable, "-c", COMMAND, tmp_path / "packages", "--output_folder", output, "--fast"],
                   check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    lines = {os.path.relpath(path, output): path.read_text().splitlines() for path in output.glob("*/*.txt")}
    assert {name: len(found) for name, found in lines.items()} == {
        "pairs/test.src.txt": 100, "pairs/test.tgt.txt": 100, "pairs/train.src.txt": 1500, "pairs/train.tgt.txt": 1500,
        "pairs/valid.src.txt": 100, "pairs/valid.tgt.txt": 100,
        "pretrain/pretrain.txt": 12000, "pretrain_valid/pretrain_valid.txt": 500,
    }
    require_separate(lines)


def require_separate(lines):
    sides = [line for name, found in lines.items() if name.startswith("pairs") for line in found]
    assert len(sides) == len(set(sides)) and all(line == normalize(line) for line in sides)
    held_out = {line for name, found in lines.items() if "test" in name or "valid" in name for line in found}
    assert not held_out & set(lines["pretrain/pretrain.txt"])
