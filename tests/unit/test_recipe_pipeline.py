"""The steps of the pipeline of a recipe: each states every file that its command reads."""
import os
from itertools import product

import pytest

from recipes import reuse
from recipes.objectives import Comparison
from recipes.pipeline import Options, Pipeline
from recipes.register import RECIPES
from recipes.steps import ROOT, Step, Steps
from recipes.text_layout import SIDES, SPLITS, TextFolders


class RecordedSteps(Steps):
    """Steps that are noted instead of run."""

    def __init__(self):
        super().__init__("none", dry_run=True)
        self.steps: list[Step] = []

    def run(self, step: Step) -> None:
        self.steps.append(step)


def within(path, folders):
    return any(os.path.commonpath([os.path.abspath(path), os.path.abspath(folder)]) == os.path.abspath(folder)
               for folder in folders)


def words_and_values(step):
    """The words of a command, the parts of lists, and the values of settings."""
    for word in step.command[1:]:
        yield from (*word.split(","), word.partition("=")[2])


@pytest.fixture
def folders(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    for split, side in product(SPLITS, SIDES):
        (tmp_path / f"{split}.{side}.txt").write_text("text\n")
    (tmp_path / "news").mkdir()
    (tmp_path / "news" / "a.txt").write_text("text\n")
    (tmp_path / "earlier" / "pretrain").mkdir(parents=True)
    (tmp_path / "earlier" / "pretrain" / "config.json").write_text('{"model_config": {"random_seed": 7}}')
    return TextFolders(str(tmp_path), str(tmp_path / "news"))


@pytest.mark.parametrize(("name", "options"), [
    ("gigaword", {}), ("own", {"seeds": (1, 2)}), ("cornell", {"minutes": 3.0}), ("own", {"pretrained": "earlier"}),
    ("own", {"pretrained": "earlier", "continues": True}), ("quickstart", {}), ("objectives", {})])
def test_every_file_of_an_earlier_step_is_an_input(name, options, folders):
    """Whatever a command names of what earlier steps make, the configuration and the user's text, is an input."""
    recipe, steps = RECIPES["own" if name == "objectives" else name], RecordedSteps()
    pretrained = os.path.join(folders.pairs, "earlier")
    if "pretrained" in options:
        options = {**options, "pretrained": pretrained}
    kind = Comparison if name == "objectives" else Pipeline
    kind(recipe, Options("a=b", folders, finetune_settings=["checkpoint_options.existed_ckpt=other.npz"], **options),
         steps).run()
    made: dict[str, str] = {}
    named = 0
    for step in steps.steps:
        known = [*step.inputs, *step.outputs]
        for word in words_and_values(step):
            earlier = [output for output in made if word and (within(word, [output]) or within(output, [word]))]
            named += len(earlier)
            assert not earlier or within(word, known) or any(within(path, [word]) for path in known), (
                step.name, word)
            if word.startswith("config/") or word == "other.npz":
                assert word in step.inputs, (step.name, word)
        for path in step.inputs:  # nothing is read that was not made, but for the user's files and the configurations
            assert within(path, made) or path.startswith(("config/", folders.pairs)) or \
                path == "other.npz" or name == "objectives", (step.name, path)
        made.update(dict.fromkeys(step.outputs, step.name))
    assert named > 5
    text = [step for step in steps.steps if step.name == "text" and name != "quickstart"]
    for step in text:
        assert {os.path.basename(path) for path in step.inputs} == {
            "a.txt", *(f"{split}.{side}.txt" for split, side in product(SPLITS, SIDES))}
    for step in steps.steps:
        if step.name.startswith("reuse"):
            assert {os.path.relpath(path, pretrained) for path in step.inputs} == set(reuse.REQUIRED)
