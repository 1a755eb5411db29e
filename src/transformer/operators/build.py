"""Compiling the C kernels, once for each machine and version of their source."""
import atexit
import ctypes
import glob
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from typing import NamedTuple

from src.utils.errors import MassError
from src.utils.files import atomic_output

_SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "native")
_FLAGS = ("-std=gnu11", "-O3", "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-fPIC", "-shared")
# Tried in this order: Apple's clang knows no OpenMP, and some compilers no -march=native.
_OPTIONAL_FLAGS = (("-march=native", "-fopenmp"), ("-fopenmp",), ("-march=native",), ())
_TIME_LIMIT = 300.0  # seconds; a few are enough on an idle machine


class Kernels(NamedTuple):
    """The compiled library."""

    path: str
    threads: int  # that a kernel uses
    note: str  # why it is not kept for the next run, '' if it is


class CompilerError(MassError):
    """There is no compiler, or it fails: no other folder would help."""


def build_kernels(cache_folder: str = "") -> Kernels:
    """The library, loaded once to see that it works; compiles it if this machine has not done so before.

    The compiler is $CC, else the first found of cc, gcc and clang. The library goes to `cache_folder`, by default
    $XDG_CACHE_HOME/mass-mindspore or ~/.cache/mass-mindspore, under a name that tells sources, compiler and processor
    apart. If nothing can be written there, or not be executed, it goes to a temporary folder of this process.

    Raises:
        MassError: MindSpore has no custom operators on this system, there is no compiler, or it fails; the message
            holds what it said.
    """
    if platform.system() != "Linux":
        raise MassError(f"MindSpore runs C kernels on Linux only, not on {platform.system()}")
    compiler = _find_compiler()
    name = f"kernels-{_key(compiler)}.so"
    folder = cache_folder or _default_folder()
    try:
        path = os.path.join(folder, name)
        return Kernels(path, _build(compiler, path), "")
    except CompilerError:
        raise
    except (MassError, OSError) as error:
        path = os.path.join(_temporary_folder(), name)
        return Kernels(path, _build(compiler, path), f"for this run only: {folder!r} cannot be used: {error}")


def _default_folder() -> str:
    parent = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(parent, "mass-mindspore")


def _temporary_folder() -> str:
    folder = tempfile.mkdtemp(prefix="mass-mindspore-")  # nobody else may write there
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _find_compiler() -> list[str]:
    try:
        chosen = shlex.split(os.environ.get("CC", ""))
    except ValueError as error:
        raise CompilerError(f"the environment variable CC is {os.environ['CC']!r}: {error}") from error
    names = [chosen[0]] if chosen else ["cc", "gcc", "clang"]
    for name in names:
        found = shutil.which(name)
        if found:
            return [found, *chosen[1:]]
    raise CompilerError(f"no C compiler found (looked for {', '.join(names)})")


def _key(compiler: list[str]) -> str:
    """A name for what the result of compiling depends on. Home folders are shared among machines of a cluster."""
    digest = hashlib.sha256()
    for path in sorted(glob.glob(os.path.join(_SOURCES, "*.[ch]"))):
        with open(path, "rb") as stream:
            digest.update(stream.read())
    version = _run([*compiler, "--version"]).stdout
    digest.update(repr((compiler, _FLAGS, _OPTIONAL_FLAGS, version, platform.machine(), _processor())).encode())
    return digest.hexdigest()[:16]


def _processor() -> str:
    """The processor's abilities, where the system tells them."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            return next((line for line in stream if line.startswith(("flags", "Features"))), "")
    except OSError:
        return platform.processor()


def _build(compiler: list[str], path: str) -> int:
    """Have the library at `path`; returns the threads its kernels use."""
    if ":" in path or not os.path.isabs(path):
        raise MassError("MindSpore takes absolute paths without a colon only")
    if os.path.exists(path):
        try:
            return _load(path)
        except OSError:
            pass  # damaged: it is made anew
    with atomic_output(path) as temporary:
        _compile(compiler, temporary)
    return _load(path)


def _load(path: str) -> int:
    return ctypes.CDLL(path).kernel_threads()


def _compile(compiler: list[str], output: str) -> None:
    sources = sorted(glob.glob(os.path.join(_SOURCES, "*.c")))
    said = ""
    for flags in _OPTIONAL_FLAGS:
        result = _run([*compiler, *_FLAGS, *flags, *sources, "-lm", "-ldl", "-o", output])
        if result.returncode == 0 and os.path.exists(output):
            return
        said = said or result.stderr.strip() or f"exit code {result.returncode}"
    raise CompilerError(f"{compiler[0]} cannot compile the kernels: {said[:1000]}")


def _run(command: list[str]) -> subprocess.CompletedProcess:
    try:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False,
                              timeout=_TIME_LIMIT)
    except subprocess.TimeoutExpired as error:
        raise CompilerError(f"{command[0]} took more than {_TIME_LIMIT:.0f} s to compile the kernels") from error
    except OSError as error:
        raise CompilerError(f"{command[0]} cannot be run: {error.strerror}") from error
