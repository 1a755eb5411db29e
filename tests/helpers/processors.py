"""The C kernels as lesser x86 processors than that of this machine run them."""
import functools
import shlex

import pytest

from src.common.native_library import CompilerError, find_compiler
from src.transformer.kernels.build import build_kernels
from tests.helpers.compiler import require_compiler

# What the compiler must not use, by the name of the processor.
LESSER_PROCESSORS = {"without AVX-512": "-mno-avx512f -mno-avx512bf16 -mno-avx512vnni -mno-avxvnni",
                     "without AVX": "-mno-avx"}


@functools.cache
def kernels_of(processor: str) -> str:
    """Return the path of the library for one of LESSER_PROCESSORS; skip the test if it cannot be compiled."""
    require_compiler()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CC", f"{shlex.join(find_compiler())} {LESSER_PROCESSORS[processor]}")
        try:
            return build_kernels().path
        except CompilerError as error:
            pytest.skip(str(error))
