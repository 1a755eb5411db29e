"""Tests that compile C code are skipped on a machine without a C compiler."""
import pytest

from src.common.errors import MassError
from src.common.native_library import find_compiler


def require_compiler() -> None:
    """Skip the test if the machine has no C compiler."""
    try:
        find_compiler()
    except MassError as error:
        pytest.skip(str(error))
