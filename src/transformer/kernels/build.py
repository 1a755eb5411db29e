"""Compiling the C kernels of the operators."""
import ctypes
import os
import platform
from typing import NamedTuple

from src.common.errors import MassError
from src.common.native_library import NativeSource, build_library

_SOURCE = NativeSource(
    name="kernels",
    folder=os.path.dirname(os.path.abspath(__file__)),
    flags=("-std=gnu11", "-O3", "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-fPIC", "-shared"),
    # Apple's clang knows no OpenMP, and some compilers no -march=native.
    optional_flags=(("-march=native", "-fopenmp"), ("-fopenmp",), ("-march=native",), ()),
    libraries=("-lm", "-ldl"),
)


class Kernels(NamedTuple):
    """The compiled library."""

    path: str
    threads: int  # that a kernel uses
    note: str  # why it is not kept for the next run, '' if it is


def build_kernels(cache_folder: str = "") -> Kernels:
    """The library, loaded once to see that it works; see `build_library` for where it is kept.

    Raises:
        MassError: MindSpore has no custom operators on this system, there is no compiler, or it fails; the message
            holds what it said.
    """
    if platform.system() != "Linux":
        raise MassError(f"MindSpore runs C kernels on Linux only, not on {platform.system()}")
    return Kernels(*build_library(_SOURCE, _threads, cache_folder))


def _threads(path: str) -> int:
    return ctypes.CDLL(path).kernel_threads()
