"""How the program uses MindSpore: no deprecated interfaces, and no tensors before the device is chosen."""
import ast
import re
import subprocess
import sys
from collections.abc import Iterator

import mindspore
import mindspore.mint
from mindspore import Tensor, nn, ops

from tests.helpers.paths import ROOT

CODE = [ROOT / name for name in ("src", "benchmarks", "recipes", "config")]
MODULES = {"ops": ops, "nn": nn, "mindspore": mindspore, "mint": mindspore.mint}
REMOVED = re.compile(r"This (interface|API) is deprecated|(mindspore\.)?ops\.\w+`? is deprecated")

IMPORT_EVERYTHING = """
import importlib, pkgutil, sys
import src
import mindspore
created = []
plain = mindspore.Tensor.__init__
def noted(self, *arguments, **options):
    created.append(sys._getframe(1).f_code.co_filename)
    plain(self, *arguments, **options)
mindspore.Tensor.__init__ = noted
for module in pkgutil.walk_packages(src.__path__, "src."):
    if ".runner" not in module.name:  # programs that are copied into exported folders
        importlib.import_module(module.name)
print([path for path in created if "site-packages" not in path])
created.clear()
mindspore.Tensor([0])
print(created)
"""


def uses() -> Iterator[tuple[str, str, str]]:
    """Yield (where, module, name) of each use of a function or class of MindSpore's modules."""
    for folder in CODE:
        for path in sorted(folder.rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in MODULES:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value.id, node.attr


def is_deprecated(module: str, name: str) -> bool:
    return bool(REMOVED.search(getattr(getattr(MODULES[module], name, None), "__doc__", None) or ""))


def test_what_mindspore_will_remove_is_recognized() -> None:
    assert all(is_deprecated("ops", name) for name in ("cast", "slice", "scatter_update", "assign", "fill"))
    assert not any(is_deprecated("ops", name) for name in ("Slice", "Assign", "matmul", "gather", "reshape"))


def test_no_interface_is_used_that_mindspore_will_remove() -> None:
    found = list(uses())
    assert len(found) > 100
    assert [f"{where}: {module}.{name}" for where, module, name in found if is_deprecated(module, name)] == []


def test_no_method_of_tensors_is_used_that_mindspore_will_remove() -> None:
    assert not REMOVED.search(Tensor.astype.__doc__)


def test_importing_the_program_creates_no_tensors() -> None:
    """A tensor that is made before the device is set, or before `init`, would choose the device itself."""
    done = subprocess.run([sys.executable, "-c", IMPORT_EVERYTHING], cwd=ROOT, capture_output=True, text=True,
                          check=True)
    assert done.stdout.splitlines()[-2:] == ["[]", "['<string>']"]
