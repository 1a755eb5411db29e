"""The choice between the implementations of the operators."""
from typing import NamedTuple

from src.common.errors import MassError, UsageError
from src.transformer.kernels.build import build_kernels
from src.transformer.operators.c_operators import COperators
from src.transformer.operators.interface import Operators
from src.transformer.operators.mindspore_operators import MindSporeOperators


class Choice(NamedTuple):
    """The chosen operators, and a description of the choice for the user, with its reason."""

    operators: Operators
    reason: str


def choose_operators(device_target: str, native_kernels: str, compute_type: str = "float32") -> Choice:
    """Return C kernels where the configuration asks for them or allows them, else MindSpore's operators.

    Args:
        device_target, native_kernels: of training_config; the latter is "auto", "on" or "off".
        compute_type: of model_config.

    Raises:
        UsageError: native_kernels is "on" for another device than the CPU or another type than float32.
        MassError: native_kernels is "on" and the kernels cannot be compiled. With "auto", MindSpore's operators are
            chosen in this case.
    """
    fallback = MindSporeOperators(compute_type)
    if native_kernels == "off":
        return Choice(fallback, "MindSpore's operators (native_kernels is off)")
    if device_target != "CPU" or compute_type != "float32":
        if native_kernels == "on":
            raise UsageError(f"training_config.native_kernels is 'on': the kernels are for float32 on the CPU, not for "
                             f"{compute_type} on {device_target}; set it to 'auto'")
        return Choice(fallback, "MindSpore's operators")
    try:
        kernels = build_kernels()
    except (MassError, OSError) as error:
        if native_kernels == "on":
            raise MassError(f"training_config.native_kernels is 'on': {error}; install a C compiler, or set it to "
                            f"'auto' to train with MindSpore's own, slower operators") from error
        return Choice(fallback, f"MindSpore's operators, which are slower ({error})")
    threads = f"{kernels.threads} thread{'s' if kernels.threads > 1 else ''}"
    return Choice(COperators(kernels.path),
                  f"C kernels, {threads}, {kernels.path}{f' ({kernels.note})' if kernels.note else ''}")
