"""Which form of the operators a network gets."""
from typing import NamedTuple

from src.common.errors import MassError, UsageError
from src.transformer.kernels.build import build_kernels
from src.transformer.operators.c_operators import COperators
from src.transformer.operators.interface import Operators
from src.transformer.operators.mindspore_operators import MindSporeOperators


class Choice(NamedTuple):
    """Operators, and why these: for the start-up summary."""

    operators: Operators
    reason: str


def choose_operators(device_target: str, wish: str, compute_type: str = "float32") -> Choice:
    """`wish` is training_config.native_kernels: auto, on or off; `compute_type` is model_config's.

    Raises:
        UsageError: "on" for another device than the CPU, or another type than float32.
        MassError: "on" and the kernels cannot be compiled. With "auto", MindSpore's operators serve then.
    """
    plain = MindSporeOperators(compute_type)
    if wish == "off":
        return Choice(plain, "MindSpore's operators (native_kernels is off)")
    if device_target != "CPU" or compute_type != "float32":
        if wish == "on":
            raise UsageError(f"training_config.native_kernels is 'on': the kernels are for float32 on the CPU, not for "
                             f"{compute_type} on {device_target}; set it to 'auto'")
        return Choice(plain, "MindSpore's operators")
    try:
        kernels = build_kernels()
    except (MassError, OSError) as error:
        if wish == "on":
            raise MassError(f"training_config.native_kernels is 'on': {error}; install a C compiler, or set it to "
                            f"'auto' to train with MindSpore's own, slower operators") from error
        return Choice(plain, f"MindSpore's operators, which are slower ({error})")
    threads = f"{kernels.threads} thread{'s' if kernels.threads > 1 else ''}"
    return Choice(COperators(kernels.path),
                  f"C kernels, {threads}, {kernels.path}{f' ({kernels.note})' if kernels.note else ''}")
