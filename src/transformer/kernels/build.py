"""Compilation of the C kernels."""
import ctypes
import os
import platform
from typing import NamedTuple

from src.common.errors import MassError
from src.common.native_library import NativeSource, build_library

SOURCE = NativeSource(
    name="kernels",
    folder=os.path.dirname(os.path.abspath(__file__)),
    flags=("-std=gnu11", "-O3", "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-fPIC", "-shared"),
    # Apple's clang does not support OpenMP, and some compilers do not support -march=native.
    optional_flags=(("-march=native", "-fopenmp"), ("-fopenmp",), ("-march=native",), ()),
    libraries=("-lm", "-ldl", "-lpthread"),
)


class Kernels(NamedTuple):
    """The compiled library of kernels."""

    path: str
    threads: int  # number of threads that a kernel runs on
    note: str  # why the library is not kept for the next run, "" if it is


def build_kernels(cache_folder: str = "") -> Kernels:
    """Return the library, compiled if necessary and loaded once to check that it works.

    Args:
        cache_folder: where the library is kept; see `build_library` for the default.

    Raises:
        MassError: MindSpore has no custom operators on this system, there is no compiler, or the compiler fails; the
            message contains the compiler's own.
    """
    if platform.system() != "Linux":
        raise MassError(f"MindSpore runs C kernels on Linux only, not on {platform.system()}")
    return Kernels(*build_library(SOURCE, _threads, cache_folder))


def _threads(path: str) -> int:
    return ctypes.CDLL(path).kernel_threads()
