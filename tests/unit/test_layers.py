"""Imports follow the layers of the architecture: no module imports a higher layer, and there are no cycles."""
import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.helpers.paths import ROOT

LAYERS = (
    ("src.common",),
    ("config", "src.launcher"),
    ("src.utils",),
    ("src.language_model", "src.text"),
    ("src.dataset",),
    ("src.transformer",),
    ("src.checkpoints", "src.runtime"),
    ("src.inference",),
    ("src.export", "src.training"),
)
"""The packages, lowest layer first. A package may import those of lower layers, but not those of its own layer."""
ABOVE = ("entry scripts, benchmarks and tests",)


class Import(NamedTuple):
    """An import of one module of the repository by another; the statement may be inside a function."""

    importer: str
    imported: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.importer} imports {self.imported}"


def module_name(path: Path) -> str:
    """Return the name of the module in a file; a package is named `package.__init__`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))
           if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)}


def find_module(name: str) -> str | None:
    """Return the module of the repository that is imported under a name; None if there is none."""
    return next((module for module in (name, f"{name}.__init__") if module in MODULES), None)


def imports_in(source: str, importer: str, file: str) -> Iterator[Import]:
    """Yield the imports of modules of the repository in the source of a module."""
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}, line {node.lineno}: relative import; write the full name of the module"
            # In `from package import name`, the name may be a module.
            names = [f"{node.module}.{alias.name}" if find_module(f"{node.module}.{alias.name}") else node.module
                     for alias in node.names]
        for module in dict.fromkeys(map(find_module, names)):
            if module and module != importer:
                yield Import(importer, module, file, node.lineno)


def layer_of(module: str) -> tuple[int, str]:
    """Return the number of a module's layer, from 0, and the package that it belongs to."""
    for number, packages in enumerate(LAYERS):
        for package in packages:
            if module.startswith(f"{package}."):
                return number, package
    assert not module.startswith("src.") or module == "src.__init__", f"{module} has no layer: add it to LAYERS"
    return len(LAYERS), ABOVE[0]


def upward_imports(imports: Iterable[Import]) -> list[Import]:
    """Return the imports of a higher layer, and of another package of the same layer."""
    found = []
    for entry in imports:
        (low, package), (high, other) = layer_of(entry.importer), layer_of(entry.imported)
        if high > low or (high == low and other != package):
            found.append(entry)
    return found


def siblings(entry: Import) -> tuple[str, str]:
    """Return the two members of one package, modules or packages, between which an import is.

    `a.b.c` imports `a.d.e`: `a.b` and `a.d`.
    """
    importer, imported = entry.importer.split("."), entry.imported.split(".")
    depth = next(place for place, names in enumerate(zip(importer, imported, strict=False)) if names[0] != names[1])
    return ".".join(importer[: depth + 1]), ".".join(imported[: depth + 1])


def find_cycle(imports: Iterable[Import]) -> list[Import]:
    """Return imports that form a cycle between members of one package; empty if there is none."""
    graph: dict[str, dict[str, Import]] = {}
    for entry in imports:
        importer, imported = siblings(entry)
        if "." not in importer:
            continue  # of `config` and `src`; the order of the layers allows no cycle of these
        graph.setdefault(importer, {}).setdefault(imported, entry)
    done: set[str] = set()

    def visit(member: str, path: list[str], taken: list[Import]) -> list[Import]:
        if member in path:
            return taken[path.index(member):]
        if member in done:
            return []
        for imported, entry in graph.get(member, {}).items():
            if cycle := visit(imported, [*path, member], [*taken, entry]):
                return cycle
        done.add(member)
        return []

    return next((cycle for member in graph if (cycle := visit(member, [], []))), [])


@pytest.fixture(scope="module")
def imports() -> list[Import]:
    """All imports in src and config."""
    return [entry for module, path in MODULES.items() if module.startswith(("src.", "config."))
            for entry in imports_in(path.read_text(encoding="utf-8"), module, str(path.relative_to(ROOT)))]


def test_no_module_imports_a_higher_layer(imports):
    upward = upward_imports(imports)
    assert not upward, "\n".join(map(str, upward))


def test_no_import_cycles(imports):
    cycle = find_cycle(imports)
    assert not cycle, "\n".join(map(str, cycle))


def test_all_packages_of_the_layers_exist():
    for packages in LAYERS:
        for package in packages:
            assert any(module.startswith(f"{package}.") for module in MODULES), package


@pytest.mark.parametrize(("importer", "source", "upward"), [
    ("src.utils.new", "from src.common.files import require_file\nimport config.config", False),
    ("src.utils.new", "def f():\n    from src.dataset.records import info", True),
    ("src.common.new", "from config import load_config", True),
    ("src.launcher.new", "import config.config", True),  # a package of the same layer
    ("src.launcher.new", "import json\nfrom src.launcher import plan", False),
    ("src.training.new", "import train", True),
])
def test_upward_imports_are_found(importer, source, upward):
    assert bool(upward_imports(imports_in(source, importer, "new.py"))) == upward


def test_an_import_is_reported_with_its_file_and_line():
    (entry,) = imports_in("import os\n\ndef f():\n    from src.utils import ppl_score\n", "src.common.new", "new.py")
    assert str(entry) == "new.py, line 4: src.common.new imports src.utils.ppl_score"


@pytest.mark.parametrize(("pairs", "cycle"), [
    ([("a.b", "a.c"), ("a.c", "a.d")], []),
    ([("a.b", "a.c"), ("a.c", "a.d"), ("a.d", "a.b")], ["a.b", "a.c", "a.d"]),
    ([("a.b.one", "a.c.one"), ("a.c.two", "a.b.two")], ["a.b.one", "a.c.two"]),  # packages, though not modules
    ([("a.top", "a.b.one"), ("a.b.one", "a.ground")], []),
    ([("a.__init__", "a.b"), ("a.b", "a.__init__")], ["a.__init__", "a.b"]),
])
def test_cycles_are_found(pairs, cycle):
    found = find_cycle([Import(importer, imported, "file.py", 1) for importer, imported in pairs])
    assert [entry.importer for entry in found] == cycle
