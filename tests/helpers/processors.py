"""The C kernels as x86 processors with fewer instructions run them."""
import functools
from dataclasses import replace

import pytest

from src.common.errors import MassError
from src.common.native_library import build_library, processor_features
from src.transformer.kernels.build import SOURCE, build_kernels
from tests.helpers.compiler import require_compiler

# The compiler's name of the first processor with these instructions, and the feature that a machine needs to run them.
LESSER_PROCESSORS = {"AVX2": ("haswell", "avx2"), "SSE": ("nehalem", "sse4_2")}
THIS_PROCESSOR = "this processor"


@functools.cache
def kernels_of(processor: str) -> str:
    """Return the path of the library for THIS_PROCESSOR or one of LESSER_PROCESSORS, compiled if necessary.

    It is kept where all compiled libraries are. The test is skipped if the machine cannot run it, or has no compiler
    for it.
    """
    require_compiler()
    if processor == THIS_PROCESSOR:
        return build_kernels().path
    name, feature = LESSER_PROCESSORS[processor]
    if feature not in processor_features().split():
        pytest.skip(f"this processor has no {processor}")
    source = replace(SOURCE, optional_flags=((f"-march={name}", "-fopenmp"),))
    try:
        return build_library(source, lambda path: path).path
    except MassError as error:
        pytest.skip(str(error))
