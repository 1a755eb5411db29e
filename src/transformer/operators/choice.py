"""Which form of the operators a network gets."""
from typing import NamedTuple

from src.transformer.operators.build import build_kernels
from src.transformer.operators.native import NativeOperators
from src.transformer.operators.plain import PlainOperators
from src.utils.errors import MassError, UsageError


Operators = PlainOperators | NativeOperators


class Choice(NamedTuple):
    """Operators, and why these: for the start-up summary."""

    operators: Operators
    reason: str


def choose_operators(device_target: str, wish: str) -> Choice:
    """`wish` is training_config.native_kernels: auto, on or off.

    Raises:
        UsageError: "on" for another device than the CPU.
        MassError: "on" and the kernels cannot be compiled. With "auto", MindSpore's operators serve then.
    """
    if wish == "off":
        return Choice(PlainOperators(), "MindSpore's operators (native_kernels is off)")
    if device_target != "CPU":
        if wish == "on":
            raise UsageError(f"training_config.native_kernels is 'on': the kernels are for the CPU, not for "
                             f"{device_target}; set it to 'auto'")
        return Choice(PlainOperators(), "MindSpore's operators")
    try:
        library = build_kernels()
    except (MassError, OSError) as error:
        if wish == "on":
            raise MassError(f"training_config.native_kernels is 'on': {error}; install a C compiler, or set it to "
                            f"'auto' to train with MindSpore's own, slower operators") from error
        return Choice(PlainOperators(), f"MindSpore's operators, which are slower ({error})")
    return Choice(NativeOperators(library), f"C kernels {library}")
