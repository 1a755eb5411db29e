"""Structures that Python mirrors from C code: their sizes are compared when a library is loaded."""
import ast
import ctypes
import subprocess
import sys
import types

import pytest

from src.common.errors import MassError
from src.common.native_library import check_struct_sizes
from tests.helpers.compiler import require_compiler
from tests.helpers.paths import ROOT


def library(folder, code):
    require_compiler()
    (folder / "sizes.c").write_text("#include <stdint.h>\n#include <string.h>\n" + code)
    path = folder / "sizes.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", path, folder / "sizes.c"], check=True)
    return ctypes.CDLL(str(path))


@pytest.fixture
def module(monkeypatch):
    module = types.ModuleType("mirror")
    exec("import ctypes\nclass _Pair(ctypes.Structure):\n    _fields_ = [('a', ctypes.c_int64), ('b', ctypes.c_int64)]",
         module.__dict__)
    monkeypatch.setitem(sys.modules, "mirror", module)
    return "mirror"


@pytest.mark.parametrize("size, problem", [
    (16, None), (24, "structure Pair has 24 bytes, but 16 bytes are expected"),
    (-1, "structure Pair does not exist, but 16 bytes are expected")])
def test_another_size_is_refused(tmp_path, module, size, problem):
    code = f'return strcmp(name, "Pair") ? -1 : {size};'
    loaded = library(tmp_path, f"int64_t struct_size(const char *name) {{ {code} }}")
    if problem is None:
        check_struct_sizes(loaded, module)
    else:
        with pytest.raises(MassError, match=problem):
            check_struct_sizes(loaded, module)


def test_a_library_without_sizes_is_refused(tmp_path, module):
    with pytest.raises(MassError, match="does not export the sizes"):
        check_struct_sizes(library(tmp_path, "int unrelated(void) { return 0; }"), module)


def test_every_module_with_structures_is_checked():
    texts = {path: path.read_text() for path in (ROOT / "src").rglob("*.py")}
    mirrors = [path for path, text in texts.items()
               if any(isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Structure")
                                                             for base in node.bases)
                      for node in ast.walk(ast.parse(text)))]
    assert {"encoders", "packed_weights"} <= {path.stem for path in mirrors}
    for path in mirrors:
        assert "check_struct_sizes(library, __name__)" in texts[path] or any(
            f"check_struct_sizes(library, {path.stem}.__name__)" in text for text in texts.values()), path
