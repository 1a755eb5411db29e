"""Compilation of the C kernels: the cache, compilers that fail or are missing, folders that cannot be used."""
import ctypes
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from src.common import native_library
from src.common.errors import MassError, UsageError
from src.common.native_library import NativeSource, build_library, find_compiler
from src.transformer.kernels import build
from src.transformer.kernels.build import build_kernels
from src.transformer.operators.c_operators import COperators
from src.transformer.operators.mindspore_operators import MindSporeOperators
from src.transformer.operators.selection import choose_operators
from tests.helpers.compiler import require_compiler
from tests.helpers.paths import ROOT
from tests.helpers.scripts import run_python

# Copies a library that the real compiler has made, and writes a line to a log for each compilation.
COMPILER = """#!/bin/sh
for last; do :; done
if [ "$last" = --version ]; then echo "{version}"; exit 0; fi
echo "$@" >> {log}
{body}
cp {library} "$last"
"""


class Compiler:
    """A quick stand-in for the compiler, which records its arguments."""

    def __init__(self, folder: Path):
        self.path, self._log, self._library = folder / "my compiler", folder / "log", folder / "library.so"
        shutil.copyfile(build_kernels().path, self._library)
        self.write()

    def write(self, body: str = "", version: str = "compiler 1.0") -> None:
        self.path.write_text(COMPILER.format(version=version, log=f"'{self._log}'", library=f"'{self._library}'",
                                             body=body))
        self.path.chmod(0o755)

    @property
    def compilations(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """The stand-in as $CC, with an empty cache at tmp_path/cache."""
    require_compiler()
    stand_in = Compiler(tmp_path)
    monkeypatch.setenv("CC", f"'{stand_in.path}' -DOPTION")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return stand_in


def cached(tmp_path: Path) -> list[str]:
    """Return the names of the libraries in the cache, each of which has its checksum beside it."""
    names = sorted(os.listdir(tmp_path / "cache" / "mass-mindspore"))
    libraries = [name for name in names if name.endswith(".so")]
    assert names == sorted([*libraries, *(f"{name}.sha256" for name in libraries)])
    return libraries


def test_the_library_is_compiled_once(compiler, tmp_path):
    first, again = build_kernels(), build_kernels()
    assert first == again and first.threads >= 1 and first.note == ""
    assert cached(tmp_path) == [os.path.basename(first.path)]
    assert len(compiler.compilations) == 1
    words = compiler.compilations[0].split()
    assert "-DOPTION" in words and "-fopenmp" in words and any(word.endswith("attention.c") for word in words)


def test_the_cache_folder_can_be_given(compiler, tmp_path):
    kernels = build_kernels(str(tmp_path / "a" / "b"))
    name = os.path.basename(kernels.path)
    assert sorted(os.listdir(tmp_path / "a" / "b")) == [name, f"{name}.sha256"]


@pytest.mark.parametrize("change", ["source", "header", "flag", "version", "option", "processor"])
def test_the_name_of_the_library_depends_on_what_it_is_compiled_from(change, compiler, tmp_path, monkeypatch):
    sources = tmp_path / "c"
    sources.mkdir()
    for name in ("one.c", "two.c", "common.h"):
        (sources / name).write_text("")
    library = NativeSource("tiny", str(sources), flags=("-shared",))
    before = build_library(library, ctypes.CDLL).path
    if change in ("source", "header"):
        (sources / ("two.c" if change == "source" else "common.h")).write_text("\n")
    elif change == "flag":
        library = replace(library, flags=("-shared", "-O2"))
    elif change == "version":
        compiler.write(version="compiler 1.1")
    elif change == "option":
        monkeypatch.setenv("CC", f"'{compiler.path}' -DOTHER")
    else:
        monkeypatch.setattr(native_library, "processor_features", lambda: "flags: another")
    after = build_library(library, ctypes.CDLL).path
    assert after != before and len(cached(tmp_path)) == 2


def test_a_damaged_library_is_compiled_again(compiler, tmp_path):
    name = os.path.basename(build_kernels().path)
    damaged = tmp_path / "other" / name
    damaged.parent.mkdir()
    damaged.write_bytes(b"\x7fELF")
    assert build_kernels(str(damaged.parent)).path == str(damaged)
    assert damaged.stat().st_size > 1000 and len(compiler.compilations) == 2


def test_a_library_with_a_flipped_bit_is_compiled_again(compiler, tmp_path):
    """It might be loaded, and crash or compute something else."""
    sources = tmp_path / "c"
    sources.mkdir()
    (sources / "one.c").write_text("int one(void) { return 1; }\n")
    library = NativeSource("tiny", str(sources), flags=("-shared", "-fPIC"))
    path = build_library(library, lambda path: path).path
    content = Path(path).read_bytes()
    for place in (len(content) // 2, len(content) - 1):
        flipped = bytearray(content)
        flipped[place] ^= 1
        Path(path).write_bytes(flipped)
        assert build_library(library, lambda path: path).path == path
        assert Path(path).read_bytes() == content
    assert len(compiler.compilations) == 3


def test_a_folder_below_one_where_others_may_write_is_not_trusted(compiler, tmp_path):
    parent = tmp_path / "shared"
    parent.mkdir()
    parent.chmod(0o777)
    assert "and so replace it" in build_kernels(str(parent / "cache")).note
    parent.chmod(0o1777)  # as /tmp: nobody can replace the folders of others there
    assert build_kernels(str(parent / "cache")).note == ""


@pytest.mark.parametrize("cache", ["file/below", "with:colon", "relative"])
def test_a_temporary_folder_replaces_one_that_cannot_be_used(cache, compiler, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", cache if cache == "relative" else str(tmp_path / cache))
    kernels = build_kernels()
    assert kernels.note.startswith("for this run only: ") and cache in kernels.note
    assert os.path.isfile(kernels.path) and not kernels.path.startswith(str(tmp_path))
    assert os.stat(os.path.dirname(kernels.path)).st_mode & 0o077 == 0  # another user could put a library there
    assert not os.path.exists("relative")
    choice = choose_operators("CPU", "auto")
    assert isinstance(choice.operators, COperators) and "for this run only" in choice.reason


def test_a_folder_where_others_may_write_is_not_trusted(compiler, tmp_path):
    cache = tmp_path / "shared"
    cache.mkdir()
    cache.chmod(0o777)
    kernels = build_kernels(str(cache))
    assert "other users may write there" in kernels.note and not os.listdir(cache)


def test_the_temporary_folder_is_removed_after_the_run(compiler, tmp_path):
    code = "from src.transformer.kernels.build import build_kernels\nprint(build_kernels().path)"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    done = run_python(code, environment={"XDG_CACHE_HOME": "/dev/null/below", "TMPDIR": str(temporary)})
    assert done.stdout.startswith(str(temporary))
    assert os.listdir(temporary) == []


def test_two_processes_can_compile_at_the_same_time(compiler, tmp_path):
    compiler.write(body="sleep 1")
    code = "from src.transformer.kernels.build import build_kernels\nprint(build_kernels().path)"
    processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
                 for _ in range(2)]
    paths = {process.communicate(timeout=300)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert len(paths) == 1 and cached(tmp_path) == [os.path.basename(paths.pop().strip())]


def test_a_compiler_without_openmp_makes_kernels_of_one_thread(tmp_path, monkeypatch):
    """The real compiler is behind a wrapper that refuses the flags that some compilers do not support."""
    require_compiler()
    real = find_compiler()[0]
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(f'#!/bin/sh\ncase " $* " in *" -fopenmp "*|*" -march=native "*) echo no >&2; exit 1;; esac\n'
                       f'exec {real} -O0 "$@" -O0\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("CC", str(wrapper))
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert build_kernels(str(tmp_path / "cache")).threads == 1


def no_compiler(monkeypatch) -> str:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", "")
    return "no C compiler found (looked for cc, gcc, clang)"


def missing_compiler(monkeypatch) -> str:
    monkeypatch.setenv("CC", "/nonexistent/cc -m64")
    return "no C compiler found (looked for /nonexistent/cc)"


def unreadable_name(monkeypatch) -> str:
    monkeypatch.setenv("CC", 'gcc "')
    return "the environment variable CC is 'gcc \"': No closing quotation"


def other_system(monkeypatch) -> str:
    monkeypatch.setattr(build.platform, "system", lambda: "Darwin")
    return "MindSpore runs C kernels on Linux only, not on Darwin"


@pytest.mark.parametrize("obstacle", [no_compiler, missing_compiler, unreadable_name, other_system])
def test_the_obstacle_to_compilation_is_reported(obstacle, monkeypatch):
    reason = obstacle(monkeypatch)
    with pytest.raises(MassError) as error:
        build_kernels()
    assert str(error.value) == reason
    choice = choose_operators("CPU", "auto")
    assert isinstance(choice.operators, MindSporeOperators) and reason in choice.reason
    with pytest.raises(MassError) as error:
        choose_operators("CPU", "on")
    assert reason in str(error.value) and "native_kernels is 'on'" in str(error.value)
    assert isinstance(choose_operators("CPU", "off").operators, MindSporeOperators)


@pytest.mark.parametrize(("body", "message"), [("echo bad luck >&2; exit 3", "bad luck"), ("exit 3", "exit code 3"),
                                               ("exit 0", "exit code 0")])
def test_a_compiler_that_fails_is_quoted(body, message, compiler, tmp_path):
    compiler.write(body=body)
    with pytest.raises(MassError) as error:
        build_kernels()
    assert str(compiler.path) in str(error.value) and message in str(error.value)
    assert cached(tmp_path) == []  # no incomplete file is left
    assert message in choose_operators("CPU", "auto").reason


def test_a_compiler_that_cannot_be_run(compiler):
    compiler.path.write_text("#!/nonexistent/interpreter\n")
    with pytest.raises(MassError, match="cannot be run: No such file or directory"):
        build_kernels()


def test_a_compiler_that_hangs_is_stopped(compiler, monkeypatch):
    compiler.write(body="exec sleep 600")
    monkeypatch.setattr(native_library, "TIME_LIMIT", 2.0)
    with pytest.raises(MassError, match="took more than 2 s"):
        build_kernels()


@pytest.mark.parametrize("device", ["GPU", "Ascend"])
def test_kernels_are_for_float32_on_the_cpu(device):
    for native_kernels in ("auto", "off"):
        assert isinstance(choose_operators(device, native_kernels).operators, MindSporeOperators)
    with pytest.raises(UsageError, match=f"not for float32 on {device}"):
        choose_operators(device, "on")
    assert isinstance(choose_operators("CPU", "auto", "float16").operators, MindSporeOperators)
    with pytest.raises(UsageError, match="not for float16 on CPU"):
        choose_operators("CPU", "on", "float16")


def test_flash_attention_is_for_ascend_and_two_bytes():
    assert choose_operators("Ascend", "auto", "auto", flash_attention=True).reason.endswith(", flash attention")
    for device, compute_type in (("CPU", "auto"), ("GPU", "float16"), ("Ascend", "float32")):
        with pytest.raises(UsageError, match="training_config.flash_attention is true: only Ascend has it"):
            choose_operators(device, "auto", compute_type, flash_attention=True)
