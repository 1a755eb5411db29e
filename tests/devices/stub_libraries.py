"""Stub libraries in place of CUDA and CANN, with which MindSpore's device plugins load on a machine without a device.

The plugins of the wheel then compile graphs with their real kernel selection, and nothing is computed. A stub library
defines each symbol that a plugin needs and nobody else provides. Most are functions that return 0, which means success;
the exceptions are the C and C++ files in stubs/.
"""
import importlib.util
import os
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

STUBS = Path(__file__).parent / "stubs"
TOOLS = ("cc", "c++", "nm", "readelf")
OLD_STRINGS = "-D_GLIBCXX_USE_CXX11_ABI=0"  # the ABI of std::string that MindSpore and CANN are compiled with
OBJECT_SIZE = 24  # bytes that a constructor of the graph engine clears: at most a shared pointer and a virtual table
CUDA = "11.6"
UNVERSIONED = re.compile(r"cu([A-Z]|blas|fft)")  # of CUDA's driver, or used by a library that does not state versions
CREATES_HANDLE = re.compile(r"(cuda|cublas|cudnn|curand|cusolver|cusparse|cufft)\w*Create")


class Unavailable(Exception):
    """The plugins cannot be checked here; the message says why."""


def find_plugins() -> Path:
    """Return the folder lib/ of the installed MindSpore.

    Raises:
        Unavailable: a tool or the plugins are missing.
    """
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        raise Unavailable(f"{' and '.join(missing)} not found: building stub libraries needs a C and a C++ compiler")
    spec = importlib.util.find_spec("mindspore")
    library = Path(spec.origin).parent / "lib" if spec and spec.origin else Path()
    for name in (f"libmindspore_gpu.so.{CUDA}", "libmindspore_ascend.so.2"):
        if not (library / "plugin" / name).is_file():
            raise Unavailable(f"the installed MindSpore has no {name}")
    return library


def build_cuda(library: Path, folder: Path) -> dict[str, str]:
    """Build stub libraries of CUDA in a folder; return the environment in which MindSpore uses them."""
    plugins = [library / "plugin" / f"libmindspore_gpu.so.{CUDA}", library / "plugin" / "gpu" / "libcuda_ops.so.11"]
    objects = _compile([STUBS / "cuda_functions.c"], folder)
    written = _symbols(objects, "--defined-only")
    names: dict[str, list[str]] = defaultdict(list)
    for symbol in _dynamic_symbols(plugins, "--undefined-only"):
        name, _, version = symbol.partition("@")
        if version.startswith(("libcu", "libnvrtc")) or UNVERSIONED.match(name):
            names[version or "libcuda.so.1"].append(name)
    (folder / "bin").mkdir(parents=True)
    for soname, functions in names.items():
        version_script = folder / f"{soname}.map"  # the name of the library is also the version of its symbols
        version_script.write_text(f"{soname} {{ global: *; }};\n")
        versioned = [] if soname == "libcuda.so.1" else [f"-Wl,--version-script={version_script}"]
        source = _write(folder / f"{soname}.c", (
            f"int {name}(void **handle) {{ *handle = calloc(1, 4096); return 0; }}" if CREATES_HANDLE.match(name)
            else f"int {name}() {{ return 0; }}" for name in sorted(set(functions) - written)))
        _link(folder / soname, [source, *objects], *versioned)
    nvcc = folder / "bin" / "nvcc"  # MindSpore asks it for the version
    nvcc.write_text(f"#!/bin/sh\necho 'Cuda compilation tools, release {CUDA}, V{CUDA}.55'\n")
    nvcc.chmod(0o755)
    (folder / "lib64").symlink_to(".")
    return {"PATH": f"{nvcc.parent}:{os.environ['PATH']}", "CUDA_HOME": str(folder), "LD_LIBRARY_PATH": str(folder),
            "MS_KERNEL_LAUNCH_SKIP": "all"}


def build_cann(library: Path, folder: Path) -> dict[str, str]:
    """Build stub libraries of CANN in a folder; return the environment in which MindSpore simulates an Ascend 910B."""
    folder.mkdir(parents=True)
    plugins = [library / "plugin" / name for name in ("libmindspore_ascend.so.2", "libmindspore_ops_ascend.so")]
    plugins += sorted((library / "plugin" / "ascend").glob("lib*.so"))
    plugins += sorted(path for path in (library / "plugin" / "ascend").glob("ms_kernels*/**/lib*.so")
                      if "so_kernels" not in str(path))
    plugins.append(library / "libmindspore_ge_backend.so")
    others = [*library.glob("lib*.so*"), library / "plugin" / "libmindspore_ops_cpu.so", *library.parent.glob("*.so")]
    provided = _dynamic_symbols([*plugins, *others, *_system_libraries(plugins)], "--defined-only")
    provided = {symbol.partition("@")[0] for symbol in provided}
    needed = {symbol.partition("@")[0] for symbol in _dynamic_symbols(plugins, "--undefined-only", weak=False)}
    objects = _compile([STUBS / "cann_functions.c", STUBS / "cann_classes.cc"], folder)
    missing = needed - provided - _symbols(objects, "--defined-only")
    source = _write(folder / "functions.c", (_cann_stub(name) for name in sorted(missing)
                                            if not name.startswith(("Py", "_Py"))))
    all_functions = folder / "libascendcl.so"
    _link(all_functions, [*_compile([source], folder), *objects])
    absent = {name for path in plugins for name in _needed(path)} - {path.name for path in (*plugins, *others)}
    for name in (*_unknown_to_system(absent), "libacl_op_compiler.so", "libacl_tdt_channel.so"):
        if name != all_functions.name:
            _link(folder / name, [_write(folder / "empty.c", ())], soname=name)
    for name in ("libacl_op_compiler.so", "libacl_tdt_channel.so"):  # opened by name
        (folder / name).unlink()
        (folder / name).symlink_to(all_functions.name)
    (folder / "lib64").symlink_to(".")
    (folder / "python" / "hccl").mkdir(parents=True)  # a package that comes with CANN
    (folder / "python" / "hccl" / "sys_version.py").write_text("__sys_version__ = '8.5.0'\n")
    _link(folder / "preloaded.so", _compile([STUBS / "missing_symbols.c", STUBS / "simulation.cc"], folder))
    return {"LD_PRELOAD": str(folder / "preloaded.so"), "LD_LIBRARY_PATH": str(folder), "ASCEND_HOME_PATH": str(folder),
            "ASCEND_OPP_PATH": str(folder), "PYTHONPATH": str(folder / "python"), "MS_SIMULATION_LEVEL": "1"}


def _cann_stub(name: str) -> str:
    if re.match(r"_ZT[VIS]", name):  # a virtual table or the like
        return f"void *{name}[64];"
    if re.match(r"_ZN2ge\d+[A-Za-z]+?C[12]E", name):  # a constructor of the graph engine
        size = OBJECT_SIZE if name.startswith("_ZN2ge8Operator") else 16
        return f"void *{name}(void *self) {{ memset(self, 0, {size}); return self; }}"
    return f"long {name}() {{ return 0; }}"


def _write(path: Path, definitions: Iterable[str]) -> Path:
    path.write_text("\n".join(["#include <stdlib.h>", "#include <string.h>", *definitions, ""]))
    return path


def _compile(sources: list[Path], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    objects = []
    for source in sources:
        objects.append(folder / f"{source.stem}.o")
        compiler = ["c++", OLD_STRINGS] if source.suffix == ".cc" else ["cc"]
        _run(*compiler, "-c", "-O1", "-w", "-fPIC", "-o", objects[-1], source)
    return objects


def _link(library: Path, parts: list[Path], *options: str, soname: str = "") -> None:
    _run("c++" if any(_is_cxx(part) for part in parts) else "cc", "-shared", "-w", "-fPIC", "-o", library, *parts,
         f"-Wl,-soname,{soname or library.name}", *options)


def _is_cxx(part: Path) -> bool:
    return (STUBS / f"{part.stem}.cc").is_file()


def _symbols(files: list[Path], which: str) -> set[str]:
    return {line.split()[-1] for line in _run("nm", which, *files).splitlines() if len(line.split()) > 1}


def _dynamic_symbols(files: list[Path], which: str, weak: bool = True) -> set[str]:
    """Return symbols as name@version; those without a version are names only."""
    lines = (line.split() for line in _run("nm", "-D", which, *files).splitlines())
    return {line[-1].replace("@@", "@") for line in lines
            if len(line) > 1 and (weak or line[-2] not in ("w", "v"))}


def _needed(path: Path) -> list[str]:
    return re.findall(r"\(NEEDED\).*\[(.*)\]", _run("readelf", "-d", path))


def _system_libraries(plugins: list[Path]) -> list[Path]:
    names = {name for path in plugins for name in _needed(path)}
    return [path for path in map(Path, _known_to_system().values()) if path.name in names]


def _unknown_to_system(names: set[str]) -> list[str]:
    return sorted(names - set(_known_to_system()))


def _known_to_system() -> Mapping[str, str]:
    ldconfig = shutil.which("ldconfig") or "/sbin/ldconfig"
    return dict(re.findall(r"^\s*(\S+) \(.*\) => (\S+)$", _run(ldconfig, "-p"), re.MULTILINE))


def _run(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"{command[0]} failed: {done.stderr.strip()[:500]}")
    return done.stdout
