"""Compiling the C code of this repository, once per machine and version of the source, and loading it."""
import atexit
import ctypes
import glob
import hashlib
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from src.common.errors import MassError
from src.common.files import atomic_output, file_digest
from src.common.regular_files import read_bounded

TIME_LIMIT = 300.0  # seconds; a few are enough on an idle machine

_DIGEST_ENDING = ".sha256"
_REMEDY = "remove the file, so that it is compiled again"

Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class NativeSource:
    """The C files of a library and the flags they are compiled with."""

    name: str
    folder: str  # all *.c files in it are compiled together
    flags: tuple[str, ...]
    optional_flags: tuple[tuple[str, ...], ...] = ((),)  # tried in this order, as not every compiler knows all of them
    libraries: tuple[str, ...] = ()


class NativeLibrary(NamedTuple, Generic[Loaded]):
    """A compiled and loaded library."""

    path: str
    loaded: Loaded
    note: str  # why the library is not cached for the next run; empty if it is


class CompilerError(MassError):
    """There is no compiler, or compiling fails, so that another folder would not help."""


def build_library(
    source: NativeSource, load: Callable[[str], Loaded], cache_folder: str = ""
) -> NativeLibrary[Loaded]:
    """Load a library, and compile it first unless this machine has done so before.

    The compiler is $CC if that is set, else the first of cc, gcc and clang that is found. The library is cached in
    `cache_folder` (by default $XDG_CACHE_HOME/mass-mindspore or ~/.cache/mass-mindspore) under a name that depends on
    sources, compiler and processor, with its checksum. If that folder cannot be written to, or libraries cannot be
    loaded from it, the library is put into a temporary folder of this process.

    Args:
        load: loads the library at an absolute path; raises OSError on failure.

    Raises:
        MassError: there is no compiler, or compiling fails; the message includes the compiler's.
    """
    compiler = find_compiler()
    name = f"{source.name}-{_key(source, compiler)}.so"
    folder = cache_folder or _default_folder()
    try:
        path = os.path.join(folder, name)
        return NativeLibrary(path, _build(source, compiler, path, load), "")
    except CompilerError:
        raise
    except (MassError, OSError) as error:
        path = os.path.join(_temporary_folder(), name)
        note = f"for this run only: {folder!r} cannot be used: {error}"
        return NativeLibrary(path, _build(source, compiler, path, load), note)


def check_struct_sizes(library: ctypes.CDLL, module: str) -> None:
    """Compare the ctypes structures that a module defines with those of the C library that it mirrors.

    The library exports `int64_t struct_size(const char *name)`, which returns -1 for a name that it does not know. The
    name of a structure is that of its class without a leading underscore.

    Args:
        library: the library that was loaded.
        module: the name of the module, which must have been imported.

    Raises:
        MassError: a structure has another size in the library, or does not exist there.
    """
    try:
        struct_size = library.struct_size
    except AttributeError:
        raise MassError(f"the C library {library._name!r} does not belong to this program: it does not export the "
                        f"sizes of its structures; {_REMEDY}") from None
    struct_size.restype, struct_size.argtypes = ctypes.c_int64, [ctypes.c_char_p]
    for structure in vars(sys.modules[module]).values():
        if not (isinstance(structure, type) and issubclass(structure, ctypes.Structure)
                and structure.__module__ == module):
            continue
        name = structure.__name__.lstrip("_")
        expected, found = ctypes.sizeof(structure), struct_size(name.encode())
        if found != expected:
            size = f"has {found} bytes" if found >= 0 else "does not exist"
            raise MassError(f"the C library {library._name!r} does not belong to this program: its structure {name} "
                            f"{size}, but {expected} bytes are expected; {_REMEDY}")


def _default_folder() -> str:
    parent = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(parent, "mass-mindspore")


def _require_own(folder: str) -> None:
    """Create the folder if it is missing; raise a MassError if other users may write to it, or replace it."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    if not hasattr(os, "getuid"):
        return
    state = os.stat(folder)
    if state.st_uid not in (os.getuid(), 0) or state.st_mode & 0o022:
        raise MassError("other users may write there")
    parent = os.path.dirname(os.path.realpath(folder))
    while True:
        state = os.stat(parent)
        shared = state.st_mode & 0o002 or (state.st_mode & 0o020 and state.st_gid not in (os.getgid(), 0))
        if state.st_uid not in (os.getuid(), 0) or (shared and not state.st_mode & stat.S_ISVTX):
            raise MassError(f"other users may write to {parent!r}, and so replace it")
        if parent == os.path.dirname(parent):
            return
        parent = os.path.dirname(parent)


def _temporary_folder() -> str:
    folder = tempfile.mkdtemp(prefix="mass-mindspore-")  # other users cannot write to it
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def find_compiler() -> list[str]:
    """Return the command of the C compiler: $CC with its flags, or the path of the first of cc, gcc and clang.

    Raises:
        CompilerError: there is none, or CC cannot be parsed.
    """
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


def _key(source: NativeSource, compiler: list[str]) -> str:
    """Return a digest of everything that the compiled library depends on.

    This includes the processor, as the machines of a cluster may share a home folder.
    """
    digest = hashlib.sha256()
    for path in sorted(glob.glob(os.path.join(source.folder, "*.[ch]"))):
        with open(path, "rb") as stream:
            digest.update(stream.read())
    version = _run([*compiler, "--version"]).stdout
    parts = (compiler, source.flags, source.optional_flags, source.libraries, version, platform.machine(),
             processor_features())
    digest.update(repr(parts).encode())
    return digest.hexdigest()[:16]


def processor_features() -> str:
    """Return the features of the processor, or its name where the system does not list them."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            return next((line for line in stream if line.startswith(("flags", "Features"))), "")
    except OSError:
        return platform.processor()


def _build(source: NativeSource, compiler: list[str], path: str, load: Callable[[str], Loaded]) -> Loaded:
    """Load the library at `path`, and compile it first if it is missing or damaged."""
    if ":" in path or not os.path.isabs(path):
        raise MassError("the path of a library must be absolute, and MindSpore takes none with a colon")
    _require_own(os.path.dirname(path))
    if _is_intact(path):
        try:
            return load(path)
        except OSError:
            pass  # it is compiled again
    with atomic_output(path) as temporary:
        _compile(source, compiler, temporary)
        digest = file_digest(temporary)
    with atomic_output(path + _DIGEST_ENDING) as temporary, open(temporary, "w", encoding="ascii") as stream:
        stream.write(digest)
    return load(path)


def _is_intact(path: str) -> bool:
    """Return whether the library is as it was compiled: a damaged one may crash, or compute something else."""
    try:
        return read_bounded(path + _DIGEST_ENDING, 64) == file_digest(path).encode()
    except (OSError, ValueError):
        return False


def _compile(source: NativeSource, compiler: list[str], output: str) -> None:
    files = sorted(glob.glob(os.path.join(source.folder, "*.c")))
    message = ""
    for flags in source.optional_flags:
        result = _run([*compiler, *source.flags, *flags, *files, *source.libraries, "-o", output])
        if result.returncode == 0 and os.path.exists(output):
            return
        message = message or result.stderr.strip() or f"exit code {result.returncode}"
    raise CompilerError(f"{compiler[0]} cannot compile {source.name}: {message[:1000]}")


def _run(command: list[str]) -> subprocess.CompletedProcess:
    try:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False,
                              timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired as error:
        raise CompilerError(f"{command[0]} took more than {TIME_LIMIT:.0f} s to compile the C code") from error
    except OSError as error:
        raise CompilerError(f"{command[0]} cannot be run: {error.strerror}") from error
