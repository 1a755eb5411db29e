"""The choice of the number format of the matrix products: what model_config.compute_type means on a device."""
import ctypes
import os
from typing import NamedTuple

from src.common.errors import UsageError

FAST_BFLOAT16_VARIABLE = "MASS_FAST_BFLOAT16"
"""Environment variable: 1 or 0 says that the processor has or lacks fast bfloat16 products, whatever it has."""


class NumberFormat(NamedTuple):
    """The type of the inputs of matrix products, and why it was chosen."""

    compute_type: str  # float32, float16 or bfloat16
    reason: str  # "auto: the processor multiplies bfloat16 fast"

    def __str__(self) -> str:
        return f"{self.compute_type} ({self.reason})"


def choose_number_format(compute_type: str, device_target: str, kernel_library: str,
                         loss_scale_mode: str = "dynamic") -> NumberFormat:
    """Return the number format that the configuration asks for or, with auto, the fastest one for training.

    Args:
        compute_type: of model_config: auto, float32, float16 or bfloat16.
        device_target: of training_config: CPU, GPU or Ascend.
        kernel_library: path of the C kernels, "" if the network runs on MindSpore's operators.
        loss_scale_mode: of loss_scale_config; auto does not choose float16, whose smallest numbers are larger than many
            gradients, with a static scale.

    Raises:
        UsageError: the environment variable that overrides the question to the processor is neither 0 nor 1.
    """
    if device_target != "CPU":
        return _on_accelerator(compute_type, device_target, loss_scale_mode)
    if compute_type == "bfloat16" and kernel_library and not has_fast_bfloat16(kernel_library):
        return NumberFormat(compute_type, "configured; slow: the processor has no instructions for it")
    if compute_type != "auto":
        return NumberFormat(compute_type, "configured")
    if not kernel_library:
        return NumberFormat("float32", "auto: MindSpore's operators multiply nothing else fast on the CPU")
    if has_fast_bfloat16(kernel_library):
        return NumberFormat("bfloat16", "auto: the processor has instructions for it")
    return NumberFormat("float32", "auto: the processor has no instructions for bfloat16")


def has_fast_bfloat16(kernel_library: str) -> bool:
    """Return whether the processor multiplies bfloat16 matrices with AVX512-BF16 or AMX-BF16 instructions.

    oneDNN, which multiplies them, asks the processor; its variable ONEDNN_MAX_CPU_ISA limits what it finds. The
    variable MASS_FAST_BFLOAT16 overrides both.

    Raises:
        UsageError: the variable is neither 0 nor 1.
    """
    forced = os.environ.get(FAST_BFLOAT16_VARIABLE, "")
    if forced not in ("", "0", "1"):
        raise UsageError(f"the environment variable MASS_FAST_BFLOAT16 is {forced!r}: set it to 0 or 1, or remove it")
    return forced == "1" if forced else bool(ctypes.CDLL(kernel_library).fast_bfloat16())


def _on_accelerator(compute_type: str, device_target: str, loss_scale_mode: str) -> NumberFormat:
    if compute_type != "auto":
        return NumberFormat(compute_type, "configured")
    fastest = {"GPU": "float16", "Ascend": "bfloat16"}[device_target]
    if fastest == "float16" and loss_scale_mode == "static":
        return NumberFormat("float32", "auto: float16 is faster, and needs loss_scale_mode dynamic")
    return NumberFormat(fastest, f"auto: the fastest format of {device_target}")
