"""Setting up a device: MindSpore's reasons, and chips that are not supported."""
import pytest

from src.common.errors import MassError
from src.runtime.device import load_error, require_ascend_910b

# What MindSpore 2.10 says where a plugin cannot be loaded.
UNSUPPORTED = """Unsupported device target GPU. This process only supports one of the ['CPU']. Please check whether \
the GPU environment is installed and configured correctly. For details, please refer to "Device load error message".

----------------------------------------------------
- Device load error message:
----------------------------------------------------
Load dynamic library: libmindspore_ascend.so.2 failed. libge_runner.so: cannot open shared object file
Load dynamic library: libmindspore_gpu.so.11.6 failed. libcublas.so.11: cannot open shared object file

----------------------------------------------------
- C++ Call Stack: (For framework developers)
----------------------------------------------------
mindspore/core/utils/ms_context.cc:291 SetDeviceTargetFromInner
"""


def test_reason_is_mindspores_section_on_plugins() -> None:
    assert load_error(UNSUPPORTED) == (
        "Load dynamic library: libmindspore_ascend.so.2 failed. libge_runner.so: cannot open shared object file; "
        "Load dynamic library: libmindspore_gpu.so.11.6 failed. libcublas.so.11: cannot open shared object file")


def test_reason_is_the_first_line_where_there_is_no_such_section() -> None:
    assert load_error("Device id 9 is too large.\n\nmore") == "Device id 9 is too large."


def test_old_ascend_chips_are_refused() -> None:
    with pytest.raises(MassError, match="the chip is ascend910: Ascend 910B or newer is required"):
        require_ascend_910b("ascend910")
    for chip in ("ascend910b", "ascend910_93", ""):
        require_ascend_910b(chip)
