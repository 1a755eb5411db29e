"""Compiling the C kernels, once for each machine and version of their source."""
import glob
import hashlib
import os
import platform
import shlex
import shutil
import subprocess

from src.utils.errors import MassError
from src.utils.files import atomic_output

_SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "native")
_FLAGS = ("-std=gnu11", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-fPIC",
          "-shared")
_THREADS = ("-fopenmp",)
_TIME_LIMIT = 300.0  # seconds; a few are enough on an idle machine


def build_kernels(cache_folder: str = "") -> str:
    """Path of the compiled library; compiles it if this machine has not done so before.

    The compiler is $CC, else the first found of cc, gcc and clang. The library goes to `cache_folder`, by default
    $XDG_CACHE_HOME/mass-mindspore or ~/.cache/mass-mindspore, under a name that tells sources, compiler and processor apart.

    Raises:
        MassError: there is no compiler, or it fails; the message holds what it said.
    """
    compiler = _find_compiler()
    folder = cache_folder or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache"), "mass-mindspore")
    path = os.path.join(folder, f"kernels-{_key(compiler)}.so")
    if os.path.exists(path):
        return path
    with atomic_output(path) as temporary:
        _compile(compiler, temporary)
    return path


def _find_compiler() -> list[str]:
    chosen = shlex.split(os.environ.get("CC", ""))
    names = [chosen[0]] if chosen else ["cc", "gcc", "clang"]
    for name in names:
        found = shutil.which(name)
        if found:
            return [found, *chosen[1:]]
    raise MassError(f"no C compiler found (looked for {', '.join(names)})")


def _key(compiler: list[str]) -> str:
    """A name for what the result of compiling depends on. Home folders are shared among machines of a cluster."""
    digest = hashlib.sha256()
    for path in sorted(glob.glob(os.path.join(_SOURCES, "*.[ch]"))):
        with open(path, "rb") as stream:
            digest.update(stream.read())
    version = subprocess.run([*compiler, "--version"], capture_output=True, check=False).stdout
    digest.update(repr((compiler, _FLAGS, _THREADS, version, platform.machine(), _processor())).encode())
    return digest.hexdigest()[:16]


def _processor() -> str:
    """The processor's abilities, where the system tells them."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            return next((line for line in stream if line.startswith(("flags", "Features"))), "")
    except OSError:
        return platform.processor()


def _compile(compiler: list[str], output: str) -> None:
    sources = sorted(glob.glob(os.path.join(_SOURCES, "*.c")))
    said = ""
    for threads in (_THREADS, ()):  # Apple's clang knows no OpenMP: one thread then
        try:
            result = subprocess.run([*compiler, *_FLAGS, *threads, *sources, "-lm", "-o", output], capture_output=True,
                                    text=True, check=False, timeout=_TIME_LIMIT)
        except subprocess.TimeoutExpired as error:
            raise MassError(f"{compiler[0]} took more than {_TIME_LIMIT:.0f} s to compile the kernels") from error
        if result.returncode == 0:
            return
        said = said or result.stderr.strip()
    raise MassError(f"{compiler[0]} cannot compile the kernels: {said[:1000]}")
